//! The OCI configuration of a sprite.

use std::path::Path;

use serde_json::{Value, json};

use super::{DELEGATED, ID_COUNT, ID_SHIFT, Plan};

/// What a sprite may use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Memory in MiB.
    pub memory: u32,
    /// Processes and threads.
    pub processes: u32,
    /// Virtual processors; all of them without a number.
    pub cpus: Option<u32>,
}

/// What Docker gives a container: enough for package managers, `sudo` and servers that drop their rights.
const CAPABILITIES: &[&str] = &[
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];

/// System calls that reach parts of the kernel which namespaces don't cover, or which have often been the way out of a
/// container. Everything else is allowed: capabilities and the user namespace are the wall, this is only in front of it.
const REFUSED_CALLS: &[&str] = &[
    "acct",
    "add_key",
    "bpf",
    "delete_module",
    "finit_module",
    "init_module",
    "kexec_file_load",
    "kexec_load",
    "keyctl",
    "lookup_dcookie",
    "open_by_handle_at",
    "perf_event_open",
    "quotactl",
    "request_key",
    "swapoff",
    "swapon",
    "userfaultfd",
];

/// Programs that find these missing do without.
const MISSING_CALLS: &[&str] = &["io_uring_enter", "io_uring_register", "io_uring_setup"];

/// Renders `config.json`; `delegated` is the control group that the guest may divide, where there is one.
pub(super) fn render(plan: &Plan<'_>, delegated: Option<&Path>) -> Value {
    let mapping = json!([{ "containerID": 0, "hostID": ID_SHIFT, "size": ID_COUNT }]);
    let mut resources = json!({
        "memory": { "limit": i64::from(plan.limits.memory) * 1024 * 1024 },
        "pids": { "limit": plan.limits.processes },
        "devices": [{ "allow": false, "access": "rwm" }],
    });
    if let Some(cpus) = plan.limits.cpus
        && let Some(table) = resources.as_object_mut()
    {
        table.insert("cpu".into(), json!({ "quota": i64::from(cpus) * 100_000, "period": 100_000 }));
    }
    let guest = plan.folder.join("guest");
    json!({
        "ociVersion": "1.0.2",
        "hostname": plan.hostname,
        "root": { "path": plan.folder.join("rootfs"), "readonly": false },
        "process": {
            "terminal": false,
            "user": { "uid": 0, "gid": 0 },
            "args": ["/.sprite/init", "guest-init"],
            "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            "cwd": "/",
            // sudo and su have to work.
            "noNewPrivileges": false,
            "capabilities": { "bounding": CAPABILITIES, "effective": CAPABILITIES, "permitted": CAPABILITIES },
        },
        "mounts": mounts(&guest, plan, delegated),
        "linux": {
            "namespaces": [
                { "type": "pid" }, { "type": "network" }, { "type": "ipc" }, { "type": "uts" }, { "type": "mount" },
                { "type": "user" }, { "type": "cgroup" },
            ],
            "uidMappings": mapping,
            "gidMappings": mapping,
            "cgroupsPath": format!("/{}", plan.cgroup),
            "resources": resources,
            "sysctl": { "net.ipv4.ping_group_range": "0 65535" },
            "seccomp": {
                "defaultAction": "SCMP_ACT_ALLOW",
                "syscalls": [
                    { "names": REFUSED_CALLS, "action": "SCMP_ACT_ERRNO", "errnoRet": 1 },
                    { "names": MISSING_CALLS, "action": "SCMP_ACT_ERRNO", "errnoRet": 38 },
                ],
            },
            "maskedPaths": [
                "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
                "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap",
            ],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
        },
    })
}

fn mounts(guest: &Path, plan: &Plan<'_>, delegated: Option<&Path>) -> Value {
    let mut mounts = json!([
        { "destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"] },
        { "destination": "/dev", "type": "tmpfs", "source": "tmpfs",
          "options": ["nosuid", "strictatime", "mode=755", "size=65536k"] },
        { "destination": "/dev/pts", "type": "devpts", "source": "devpts",
          "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"] },
        { "destination": "/dev/shm", "type": "tmpfs", "source": "shm",
          "options": ["nosuid", "noexec", "nodev", "mode=1777"] },
        { "destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": ["nosuid", "noexec", "nodev"] },
        { "destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"] },
        { "destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
          "options": ["nosuid", "noexec", "nodev", "relatime", "ro"] },
        // The folder is the host's, so a guest can connect to the socket in it but not put something in its place.
        { "destination": "/.sprite", "type": "bind", "source": guest, "options": ["bind", "nosuid", "nodev"] },
        { "destination": "/.sprite/init", "type": "bind", "source": plan.init,
          "options": ["bind", "ro", "nosuid", "nodev"] },
        { "destination": "/.sprite/logs", "type": "bind", "source": plan.folders.join("logs"),
          "options": ["bind", "nosuid", "nodev", "noexec"] },
    ]);
    if let (Some(list), Some(delegated)) = (mounts.as_array_mut(), delegated) {
        list.push(json!({ "destination": format!("/.sprite/{DELEGATED}"), "type": "bind", "source": delegated,
          "options": ["bind", "nosuid", "nodev", "noexec"] }));
    }
    mounts
}
