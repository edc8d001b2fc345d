//! The base image: a minimal Debian tree whose owners are shifted into the guests' id range, made once.
//!
//! Invariants:
//! * An image exists under its final name only when it is finished: it is built beside it and renamed.
//! * Every owner in it is shifted by [`crate::container::ID_SHIFT`], so guest root is nobody on the host.
//! * No mirror is named here: the host's own package sources are used.
//!
//! Layout: `DIR/rootfs` and the marker `DIR/spritehost-image` with the format's version.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::arguments::ImageBuild;

mod shift;
mod sources;

/// Version of the layout and of what is in an image. Another version is built again.
const FORMAT: &str = "1";
/// Name of the marker file.
const MARKER: &str = "spritehost-image";
/// What a guest needs besides Debian's minimum.
const PACKAGES: &str =
    "ca-certificates,curl,git,iproute2,iputils-ping,less,openssh-client,procps,python3,sudo,vim-tiny";

/// Why an image could not be built or used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ImageError {
    /// Not root.
    #[error("building an image needs root: its files belong to many users")]
    NotRoot,
    /// A program is missing.
    #[error("{program} is not installed; on Debian: apt-get install {package}")]
    Missing {
        /// The program.
        program: &'static str,
        /// The package that has it.
        package: &'static str,
    },
    /// A program failed.
    #[error("{program} failed ({status}); its last words: {words}")]
    Failed {
        /// The program.
        program: &'static str,
        /// How it ended.
        status: std::process::ExitStatus,
        /// The end of what it printed.
        words: String,
    },
    /// The host's package sources could not be used.
    #[error("no Debian package sources for {codename:?} in /etc/apt; give a root file system with --from-tar instead")]
    Sources {
        /// The host's release.
        codename: String,
    },
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The folder holds no finished image.
    #[error("{0} holds no finished base image; make one with: spritehost image build --output {0}")]
    NotAnImage(PathBuf),
}

impl ImageError {
    fn at(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| Self::File { path: path.to_owned(), source }
    }
}

/// The root file system of a finished image.
///
/// # Errors
/// When the folder holds no image of this format.
pub(crate) fn rootfs(image: &Path) -> Result<PathBuf, ImageError> {
    let image = image.canonicalize().map_err(|_| ImageError::NotAnImage(image.to_owned()))?;
    let marker = fs::read_to_string(image.join(MARKER)).unwrap_or_default();
    if marker.trim() == FORMAT { Ok(image.join("rootfs")) } else { Err(ImageError::NotAnImage(image)) }
}

/// `image build`.
///
/// # Errors
/// When a program is missing or fails, or the folder can't be written.
pub(crate) fn build(options: &ImageBuild) -> Result<(), ImageError> {
    let output = std::path::absolute(&options.output).map_err(ImageError::at(&options.output))?;
    if rootfs(&output).is_ok() {
        println!("{} is there already", output.display());
        return Ok(());
    }
    if !rustix::process::geteuid().is_root() {
        return Err(ImageError::NotRoot);
    }
    let started = Instant::now();
    let mut partial = output.clone().into_os_string();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    remove(&partial)?;
    let root = partial.join("rootfs");
    fs::create_dir_all(&root).map_err(ImageError::at(&root))?;
    let step = |text: &str| println!("[{:>5.1} s] {text}", started.elapsed().as_secs_f32());

    if let Some(tar) = &options.from_tar {
        step(&format!("unpacking {}", tar.display()));
        let mut command = Command::new("tar");
        command
            .arg("--extract")
            .arg("--numeric-owner")
            .arg("--xattrs")
            .arg("--file")
            .arg(tar)
            .arg("--directory")
            .arg(&root);
        run("tar", "tar", &mut command)?;
    } else {
        step("installing packages with mmdebstrap (half a minute or so)");
        let codename = sources::codename();
        let list = sources::of_host(&codename).ok_or_else(|| ImageError::Sources { codename: codename.clone() })?;
        let list_path = partial.join("sources.list");
        fs::write(&list_path, list).map_err(ImageError::at(&list_path))?;
        let mut command = Command::new("mmdebstrap");
        command.args(["--variant=minbase", "--mode=root", "--format=directory", "--quiet"]);
        command.arg(format!("--include={PACKAGES}")).arg(&codename).arg(&root).arg(&list_path);
        run("mmdebstrap", "mmdebstrap", &mut command)?;
    }
    step("creating the user sprite");
    add_user(&root)?;
    step("shifting owners");
    let files = shift::tree(&root)?;
    step(&format!("shifted {files} files"));
    let marker = partial.join(MARKER);
    fs::write(&marker, FORMAT).map_err(ImageError::at(&marker))?;
    // A folder of an older format, or a half-finished one that somebody named like this.
    remove(&output)?;
    fs::rename(&partial, &output).map_err(ImageError::at(&output))?;
    step(&format!("{} is ready", output.display()));
    Ok(())
}

/// Creates the user that exec and services run as.
fn add_user(root: &Path) -> Result<(), ImageError> {
    let passwd = root.join("etc/passwd");
    let users = fs::read_to_string(&passwd).map_err(ImageError::at(&passwd))?;
    if !users.lines().any(|line| line.starts_with("sprite:")) {
        let mut command = Command::new("chroot");
        command.arg(root).args([
            "useradd",
            "--create-home",
            "--uid",
            "1000",
            "--user-group",
            "--shell",
            "/bin/bash",
            "sprite",
        ]);
        run("chroot", "coreutils", &mut command)?;
    }
    let write = |name: &str, text: &str, mode: u32| -> Result<(), ImageError> {
        use std::os::unix::fs::PermissionsExt;
        let path = root.join(name);
        fs::write(&path, text).map_err(ImageError::at(&path))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).map_err(ImageError::at(&path))
    };
    write("etc/sudoers.d/sprite", "sprite ALL=(ALL:ALL) NOPASSWD: ALL\n", 0o440)?;
    write("etc/hosts", "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n", 0o644)?;
    write("etc/hostname", "sprite\n", 0o644)?;
    // Services are started by spritehost; a package's own attempts would only fail loudly.
    write("usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", 0o755)?;
    let home = root.join("home/sprite");
    fs::create_dir_all(&home).map_err(ImageError::at(&home))?;
    std::os::unix::fs::chown(&home, Some(1000), Some(1000)).map_err(ImageError::at(&home))?;
    let bashrc = home.join(".bashrc");
    let old = fs::read_to_string(&bashrc).unwrap_or_default();
    if !old.contains("# sprite prompt") {
        let prompt = "\n# sprite prompt\nPS1='\\[\\e[32m\\]\\u@\\h\\[\\e[0m\\]:\\[\\e[34m\\]\\w\\[\\e[0m\\]\\$ '\n";
        write("home/sprite/.bashrc", &(old + prompt), 0o644)?;
        std::os::unix::fs::chown(&bashrc, Some(1000), Some(1000)).map_err(ImageError::at(&bashrc))?;
    }
    Ok(())
}

/// Runs a program, and says which package has it when it is not there.
fn run(program: &'static str, package: &'static str, command: &mut Command) -> Result<(), ImageError> {
    let output = match command.stdin(Stdio::null()).output() {
        Ok(output) => output,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(ImageError::Missing { program, package }),
        Err(source) => return Err(ImageError::File { path: program.into(), source }),
    };
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let last: Vec<&str> = text.lines().rev().take(5).collect();
    let words = last.into_iter().rev().collect::<Vec<_>>().join(" | ");
    Err(ImageError::Failed { program, status: output.status, words })
}

fn remove(path: &Path) -> Result<(), ImageError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(ImageError::at(path)(error)),
        _ => Ok(()),
    }
}
