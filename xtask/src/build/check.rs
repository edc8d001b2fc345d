//! Whether the built Worker is what `wrangler.toml` says, and how large it is.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, bail};
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::stack::Wrangler;
use crate::{paths, progress};

/// The bundle's budget, compressed, in bytes: what the platform counts, and what a cold start loads.
const BUDGET: usize = 900 * 1024;

/// Fails when a class that `wrangler.toml` names isn't exported, or when the bundle is over its budget.
pub(crate) fn check() -> Result<()> {
    let root = paths::root();
    let wrangler = Wrangler::read(&root.join("wrangler.toml"))?;
    let script = root.join("build/index.js");
    let text = std::fs::read_to_string(&script).with_context(|| format!("cannot read {}", script.display()))?;
    let exports = exports(&text);
    for object in &wrangler.durable_objects.bindings {
        if !exports.contains(&object.class_name.as_str()) {
            bail!(
                "wrangler.toml binds the class {}, which build/index.js doesn't export: it exports {}",
                object.class_name,
                exports.join(", ")
            );
        }
    }
    let size = bundle_size(&root.join("build"))?;
    progress::say(&format!("the Worker's bundle is {} KB compressed (budget {} KB)", size / 1024, BUDGET / 1024));
    if size > BUDGET {
        bail!("the Worker's bundle is over its budget");
    }
    Ok(())
}

/// The names in the bundle's export statements.
fn exports(script: &str) -> Vec<&str> {
    let mut names = Vec::new();
    for statement in script.split("export").skip(1) {
        let Some(list) = statement.trim_start().strip_prefix('{').and_then(|rest| rest.split_once('}')) else {
            continue;
        };
        for item in list.0.split(',') {
            if let Some(name) = item.split_whitespace().last() {
                names.push(name);
            }
        }
    }
    names
}

/// Script and module, compressed together.
pub(crate) fn bundle_size(folder: &Path) -> Result<usize> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    for name in ["index.js", "index_bg.wasm"] {
        encoder.write_all(&std::fs::read(folder.join(name)).with_context(|| format!("cannot read {name}"))?)?;
    }
    Ok(encoder.finish()?.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exported_names_are_found_in_plain_and_minified_bundles() {
        assert_eq!(exports("export {\n  A,\n  b as MachineGateway,\n  shim_default as default\n};\n").len(), 3);
        assert_eq!(exports("var x;export{a as TerminalSession,b as default};"), ["TerminalSession", "default"]);
        assert!(exports("let exported = 1;").is_empty());
    }
}
