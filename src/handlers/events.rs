//! What happened to machines, newest first.

use snapvm_protocol::ids::MachineId;

use super::{machine_path, pass};
use crate::answer::Answer;
use crate::context::Call;
use crate::db::Argument;
use crate::domain::fields;
use crate::error::{Error, Problem};

/// `GET /v1/orgs/{org}/events`: of all machines; `machine` and `kind` choose, `before` continues a page.
///
/// # Errors
/// 404; 422 for `limit`, `before`, `machine`, `kind`.
pub async fn list(call: Call) -> Result<Answer, Error> {
    let (org, [limit, before, kind]) = (call.parameter("org")?.into(), page(&call)?);
    let machine = call.query("machine").map(str::to_owned);
    pass(call.run(vec![org, limit, before, machine.into(), kind]).await?)
}

/// `GET /v1/orgs/{org}/machines/{machine}/events`: of one machine; `kind` chooses, `before` continues a page.
///
/// # Errors
/// 404; 422 for `limit`, `before`, `kind`.
pub async fn list_of_machine(call: Call) -> Result<Answer, Error> {
    let (org, machine) = machine_path(&call)?;
    let [limit, before, kind] = page(&call)?;
    pass(call.run(vec![org, machine, limit, before, kind]).await?)
}

fn page(call: &Call) -> Result<[Argument; 3], Error> {
    let limit = call.limit(50, 200)?;
    let before = match call.query("before") {
        Some(text) => Some(text.parse::<MachineId>().map_err(|_| Problem::invalid("before", "This is not an id."))?),
        None => None,
    };
    let kind = call.query("kind").map(|kind| fields::label("kind", kind, 40)).transpose()?;
    Ok([limit.into(), before.map(|id| id.to_string()).into(), kind.into()])
}
