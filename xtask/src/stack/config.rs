//! The text of workerd's configuration. Pure: paths, ports and bindings come in, text goes out.
//!
//! ```text
//!  :port ──► main ──► passwords        (another workerd: all Workers of one share a thread, and hashing holds it)
//!              │ ───► assets ──► disk  (a small Worker before a folder)
//!              │ ───► postgres         (TCP to PgBouncer, as Hyperdrive)
//!  :cron ──► cron ──► main.scheduled()
//! ```

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use super::wrangler::Wrangler;

/// A Worker's built modules.
#[derive(Debug, Clone)]
pub(crate) struct Modules {
    /// The folder beside the configuration, with `index.js` and, unless it is plain JavaScript, `index_bg.wasm`.
    pub(crate) folder: &'static str,
    /// Whether there is a wasm module.
    pub(crate) wasm: bool,
}

/// The second Worker, in a workerd of its own, and what it is given.
#[derive(Debug)]
pub(crate) struct PasswordsConfig<'a> {
    pub(crate) modules: Modules,
    pub(crate) wrangler: &'a Wrangler,
    pub(crate) variables: &'a BTreeMap<String, String>,
    pub(crate) port: u16,
}

/// Everything that workerd has to know.
pub(crate) struct WorkerdConfig<'a> {
    pub(crate) modules: Modules,
    pub(crate) wrangler: &'a Wrangler,
    /// Variables and secrets; they win over the file's.
    pub(crate) variables: &'a BTreeMap<String, String>,
    /// The port of the Worker that hashes, if there is one.
    pub(crate) passwords_port: Option<u16>,
    pub(crate) assets: &'a Path,
    pub(crate) objects: &'a Path,
    pub(crate) port: u16,
    pub(crate) cron_port: u16,
    pub(crate) pgbouncer_port: u16,
    pub(crate) database: &'a str,
    /// Role and password for a Hyperdrive binding of this name.
    pub(crate) database_user: &'a dyn Fn(&str) -> (String, String),
}

/// A Cap'n Proto text literal.
fn text(value: &str) -> String {
    let mut literal = String::with_capacity(value.len() + 2);
    literal.push('"');
    for character in value.chars() {
        match character {
            '"' => literal.push_str("\\\""),
            '\\' => literal.push_str("\\\\"),
            '\n' => literal.push_str("\\n"),
            '\r' => literal.push_str("\\r"),
            '\t' => literal.push_str("\\t"),
            other => literal.push(other),
        }
    }
    literal.push('"');
    literal
}

fn path(value: &Path) -> String {
    text(&value.display().to_string())
}

/// Variables of the file and ours: a text stays a text, anything else becomes JSON, as wrangler has it.
fn variables(wrangler: &Wrangler, ours: &BTreeMap<String, String>) -> Vec<String> {
    let mut bindings = Vec::new();
    for (name, value) in &wrangler.vars {
        if ours.contains_key(name) {
            continue;
        }
        bindings.push(match value {
            toml::Value::String(value) => format!("(name = {}, text = {})", text(name), text(value)),
            other => {
                // A value that was read from TOML has no infinities to refuse but floats' own.
                let json = serde_json::to_string(other).unwrap_or_default();
                format!("(name = {}, json = {})", text(name), text(&json))
            }
        });
    }
    bindings.extend(ours.iter().map(|(name, value)| format!("(name = {}, text = {})", text(name), text(value))));
    bindings
}

fn modules(modules: &Modules) -> Vec<String> {
    let file = |name: &str| text(&format!("{}/{name}", modules.folder));
    let mut list = vec![format!("(name = \"index.js\", esModule = embed {})", file("index.js"))];
    if modules.wasm {
        list.push(format!("(name = \"./index_bg.wasm\", wasm = embed {})", file("index_bg.wasm")));
    }
    list
}

fn list(items: &[String]) -> String {
    format!("[\n    {}\n  ]", items.join(",\n    "))
}

fn flags(wrangler: &Wrangler) -> String {
    let flags: Vec<String> = wrangler.compatibility_flags.iter().map(|flag| text(flag)).collect();
    format!("[{}]", flags.join(", "))
}

fn bindings(config: &WorkerdConfig<'_>) -> Vec<String> {
    let mut bindings = variables(config.wrangler, config.variables);
    for object in &config.wrangler.durable_objects.bindings {
        bindings.push(format!(
            "(name = {}, durableObjectNamespace = {})",
            text(&object.name),
            text(&object.class_name)
        ));
    }
    for database in &config.wrangler.hyperdrive {
        let (user, password) = (config.database_user)(&database.binding);
        bindings.push(format!(
            "(name = {}, hyperdrive = (designator = \"postgres\", database = {}, user = {}, password = {}, \
             scheme = \"postgresql\"))",
            text(&database.binding),
            text(config.database),
            text(&user),
            text(&password)
        ));
    }
    if config.passwords_port.is_some() {
        for service in &config.wrangler.services {
            bindings.push(format!("(name = {}, service = \"passwords\")", text(&service.binding)));
        }
    }
    if let Some(name) = config.wrangler.assets.as_ref().and_then(|assets| assets.binding.as_ref()) {
        bindings.push(format!("(name = {}, service = \"assets\")", text(name)));
    }
    bindings
}

/// A namespace's data is found again by its key: the class's name, which is as stable as its migrations.
fn namespaces(wrangler: &Wrangler) -> Vec<String> {
    wrangler
        .durable_objects
        .bindings
        .iter()
        .map(|object| {
            let class = text(&object.class_name);
            format!("(className = {class}, uniqueKey = {class}, enableSql = true)")
        })
        .collect()
}

/// The whole configuration.
pub(crate) fn render(config: &WorkerdConfig<'_>) -> String {
    let mut services = vec![
        "(name = \"main\", worker = .main)".to_owned(),
        "(name = \"assets\", worker = .assets)".to_owned(),
        "(name = \"cron\", worker = .cron)".to_owned(),
        format!("(name = \"assets-disk\", disk = (path = {}))", path(config.assets)),
        format!("(name = \"objects-disk\", disk = (path = {}, writable = true))", path(config.objects)),
        format!("(name = \"postgres\", external = (address = \"127.0.0.1:{}\", tcp = ()))", config.pgbouncer_port),
        // The Sprites API is on this machine here, and sprites' URLs are its loopback ports.
        "(name = \"internet\", network = (allow = [\"public\", \"private\"], tlsOptions = (trustBrowserCas = true)))"
            .to_owned(),
    ];
    if let Some(port) = config.passwords_port {
        services.push(format!("(name = \"passwords\", external = (address = \"127.0.0.1:{port}\", http = ()))"));
    }
    let mut file = format!(
        "{HEAD}const config :Workerd.Config = (\n  services = {services},\n  sockets = [\n    \
         (name = \"http\", address = \"127.0.0.1:{port}\", http = (), service = \"main\"),\n    \
         (name = \"cron\", address = \"127.0.0.1:{cron_port}\", http = (), service = \"cron\")\n  ]\n);\n\n",
        services = list(&services),
        port = config.port,
        cron_port = config.cron_port,
    );
    // Writing to a String can't fail.
    let _ = write!(
        file,
        "const main :Workerd.Worker = (\n  modules = {},\n  compatibilityDate = {},\n  compatibilityFlags = {},\n  \
         durableObjectNamespaces = {},\n  durableObjectStorage = (localDisk = \"objects-disk\"),\n  \
         bindings = {},\n  globalOutbound = \"internet\"\n);\n\n",
        list(&modules(&config.modules)),
        text(&config.wrangler.compatibility_date),
        flags(config.wrangler),
        list(&namespaces(config.wrangler)),
        list(&bindings(config)),
    );
    file.push_str(SMALL_WORKERS);
    file
}

/// The configuration of the workerd that hashes.
pub(crate) fn render_passwords(config: &PasswordsConfig<'_>) -> String {
    format!(
        "{HEAD}const config :Workerd.Config = (\n  services = [(name = \"passwords\", worker = .passwords)],\n  sockets = \
         [(name = \"http\", address = \"127.0.0.1:{}\", http = (), service = \"passwords\")]\n);\n\n\
         const passwords :Workerd.Worker = (\n  modules = {},\n  compatibilityDate = {},\n  \
         compatibilityFlags = {},\n  bindings = {}\n);\n",
        config.port,
        list(&modules(&config.modules)),
        text(&config.wrangler.compatibility_date),
        flags(config.wrangler),
        list(&variables(config.wrangler, config.variables)),
    )
}

/// What every configuration begins with.
const HEAD: &str = "\
# Written by xtask at every start; it holds secrets.
using Workerd = import \"/workerd/workerd.capnp\";

";

/// The two Workers that stand in for parts of the platform; their code lies beside the configuration.
const SMALL_WORKERS: &str = "\
const assets :Workerd.Worker = (
  modules = [(name = \"assets.js\", esModule = embed \"assets.js\")],
  compatibilityDate = \"2026-07-01\",
  bindings = [(name = \"DISK\", service = \"assets-disk\")]
);

const cron :Workerd.Worker = (
  modules = [(name = \"cron.js\", esModule = embed \"cron.js\")],
  compatibilityDate = \"2026-07-01\",
  compatibilityFlags = [\"service_binding_extra_handlers\"],
  bindings = [(name = \"MAIN\", service = \"main\")]
);
";

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(wrangler: &Wrangler, variables: &BTreeMap<String, String>) -> String {
        render(&WorkerdConfig {
            modules: Modules { folder: "main", wasm: true },
            wrangler,
            variables,
            passwords_port: None,
            assets: Path::new("/a"),
            objects: Path::new("/o"),
            port: 1,
            cron_port: 2,
            pgbouncer_port: 3,
            database: "snapvm",
            database_user: &|_| ("user".into(), "pass".into()),
        })
    }

    #[test]
    fn texts_are_escaped() {
        assert_eq!(text("a\"b\\c\n"), "\"a\\\"b\\\\c\\n\"");
    }

    #[test]
    fn our_variables_win_over_the_file() {
        let wrangler: Wrangler =
            toml::from_str("compatibility_date = \"2026-07-01\"\n[vars]\nA = \"file\"\nB = \"file\"\nC = { x = 1 }\n")
                .unwrap();
        let config = sample(&wrangler, &BTreeMap::from([("A".to_owned(), "ours".to_owned())]));
        assert!(config.contains("(name = \"A\", text = \"ours\")"));
        assert!(!config.contains("(name = \"A\", text = \"file\")"));
        assert!(config.contains("(name = \"B\", text = \"file\")"));
        assert!(config.contains(r#"(name = "C", json = "{\"x\":1}")"#));
    }

    #[test]
    fn every_class_is_a_namespace_with_sql() {
        let wrangler: Wrangler = toml::from_str(
            "compatibility_date = \"2026-07-01\"\n[[durable_objects.bindings]]\nname = \"G\"\nclass_name = \"Gate\"\n\
             [[hyperdrive]]\nbinding = \"DB\"\nid = \"x\"\n",
        )
        .unwrap();
        let config = sample(&wrangler, &BTreeMap::new());
        assert!(config.contains("(className = \"Gate\", uniqueKey = \"Gate\", enableSql = true)"));
        assert!(config.contains("(name = \"G\", durableObjectNamespace = \"Gate\")"));
        assert!(config.contains("user = \"user\", password = \"pass\""));
    }
}
