//! Variables of a machine. A secret is sealed here, for its machine and its name, before the database hears of it; which
//! machine that is, is looked up first, so that setting a secret is two statements. Everything else is one.

#[cfg(not(target_arch = "wasm32"))]
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use snapvm_durable::machine_gateway::command::Command;
use snapvm_protocol::variables::{VARIABLES_MAX, check_name, check_value};

use super::{changed, machine_path, pass};
use crate::answer::Answer;
use crate::context::Call;
use crate::db::Database;
use crate::error::{Error, Problem};
use crate::sealing::{Keys, Place};

const fn yes() -> bool {
    true
}

/// A variable's value. Its name is in the path.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(not(target_arch = "wasm32"), derive(JsonSchema))]
pub struct PutVariable {
    /// Its value: text of at most 32 KiB. Nothing in it is expanded.
    pub value: String,
    /// Whether it is write-only: nothing shows the value again. It is, when absent.
    #[serde(default = "yes")]
    pub secret: bool,
}

/// A variable to set.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(not(target_arch = "wasm32"), derive(JsonSchema))]
pub struct SetVariable {
    /// Its name: `^[A-Za-z_][A-Za-z0-9_]{0,127}$`, and none that belongs to SnapVM, the user or the shell.
    pub name: String,
    /// Its value: text of at most 32 KiB. Nothing in it is expanded.
    pub value: String,
    /// Whether it is write-only: nothing shows the value again. It is, when absent.
    #[serde(default = "yes")]
    pub secret: bool,
}

/// Variables to set, all or none. Others stay as they are.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(not(target_arch = "wasm32"), derive(JsonSchema))]
pub struct UpdateVariables {
    /// From 1 to 100, each name once.
    pub variables: Vec<SetVariable>,
}

/// What the database stores.
#[derive(Serialize)]
struct Stored<'a> {
    name: &'a str,
    size: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sealed: Option<String>,
}

/// Where secrets belong, as the database says.
#[derive(Deserialize)]
struct Sealing {
    org: String,
    machine: String,
}

/// `GET /v1/orgs/{org}/machines/{machine}/variables`
///
/// # Errors
/// 404.
pub async fn list(call: Call) -> Result<Answer, Error> {
    let (org, machine) = machine_path(&call)?;
    pass(call.run(vec![org, machine]).await?)
}

/// `PATCH /v1/orgs/{org}/machines/{machine}/variables`: sets several.
///
/// # Errors
/// 404; 409 `limit`; 422 for a field.
pub async fn update(call: Call) -> Result<Answer, Error> {
    let UpdateVariables { variables } = call.read()?;
    set(call, &variables).await
}

/// `PUT …/variables/{variable}`: sets one.
///
/// # Errors
/// 404; 409 `limit`; 422 for a field.
pub async fn put(call: Call) -> Result<Answer, Error> {
    let PutVariable { value, secret } = call.read()?;
    let name = call.parameter("variable")?.to_owned();
    set(call, &[SetVariable { name, value, secret }]).await
}

/// `DELETE …/variables/{variable}`
///
/// # Errors
/// 404.
pub async fn delete(call: Call) -> Result<Answer, Error> {
    let (org, machine) = machine_path(&call)?;
    let variable = call.parameter("variable")?.into();
    let reply = call.run(vec![org, machine, variable]).await?;
    changed(&call, reply, &Command::Variables, 200).await
}

async fn set(call: Call, variables: &[SetVariable]) -> Result<Answer, Error> {
    check(variables)?;
    let (org, machine) = (call.parameter("org")?, call.parameter("machine")?);
    let database = Database::connect(&call.env).await?;
    let sealing: Option<Sealing> = if variables.iter().any(|variable| variable.secret) {
        let place = call.command("variables_sealing", vec![org.into(), machine.into()]);
        Some(database.call(place).await?.read()?)
    } else {
        None
    };
    let mut stored = Vec::new();
    for SetVariable { name, value, secret } in variables {
        let (mut plain, mut sealed) = (Some(value.as_str()), None);
        if let (true, Some(Sealing { org, machine })) = (secret, &sealing) {
            let place = Place { org, machine, name };
            (plain, sealed) = (None, Some(Keys::read(&call.env)?.seal(&place, value).await?));
        }
        stored.push(Stored { name, size: value.len(), value: plain, sealed });
    }
    let stored = serde_json::to_string(&stored).map_err(|_| Error::Internal("variables cannot be written"))?;
    let sealed_for = sealing.map(|sealing| sealing.machine);
    let arguments = vec![org.into(), machine.into(), sealed_for.into(), stored.into()];
    let mut reply = database.call(call.command("variables_set", arguments)).await?;
    call.announce(std::mem::take(&mut reply.changes));
    changed(&call, reply, &Command::Variables, 200).await
}

fn check(variables: &[SetVariable]) -> Result<(), Problem> {
    if !(1..=VARIABLES_MAX).contains(&variables.len()) {
        return Err(Problem::invalid("variables", format!("Send from 1 to {VARIABLES_MAX} variables.")));
    }
    let about = |field: &str, name: &str, detail: String| match variables.len() {
        1 => Problem::invalid(field, detail),
        // Which one, when there are several.
        _ => Problem::invalid(field, format!("{}: {detail}", name.chars().take(128).collect::<String>())),
    };
    for (position, SetVariable { name, value, .. }) in variables.iter().enumerate() {
        check_name(name).map_err(|invalid| about("name", name, invalid.to_string()))?;
        check_value(value).map_err(|invalid| about("value", name, invalid.to_string()))?;
        if variables.iter().take(position).any(|before| before.name == *name) {
            return Err(about("name", name, "This is there twice.".into()));
        }
    }
    Ok(())
}
