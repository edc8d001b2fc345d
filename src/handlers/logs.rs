//! Logs of services: who may is one statement, where to is the machine's object, and the machine's own answer goes to
//! the client as it comes.

use snapvm_protocol::exec::EVENT_STREAM;
use snapvm_protocol::logs::{Cursor, LINES_DEFAULT, LogsRequest};

use crate::answer::Answer;
use crate::context::Call;
use crate::domain::fields;
use crate::error::{Error, Problem};
use crate::gateway::agent::Caller;
use crate::gateway::logs;

/// `GET /v1/orgs/{org}/machines/{machine}/services/{service}/logs`: a page; or, with `follow=true` or when the client
/// accepts events, events as lines come. A machine that sleeps is woken only with `wake=true`.
///
/// # Errors
/// 404; 409 `asleep`, and for a machine that is stopped, failed, or whose agent is too old; 422 for a field; 429 for too
/// many at once; 503 when the machine does not answer in time.
pub async fn get(call: Call) -> Result<Answer, Error> {
    let service = fields::service_name(call.parameter("service")?).map_err(|_| Problem::not_found())?.to_owned();
    let request = LogsRequest {
        service,
        // What is no number is no number of lines.
        lines: call.query("lines").map_or(LINES_DEFAULT, |text| text.parse().unwrap_or_default()),
        before: cursor(&call, "before")?,
        after: cursor(&call, "after")?,
        search: call.query("search").filter(|text| !text.is_empty()).map(str::to_owned),
        follow: flag(&call, "follow")? || call.accepts_events()?,
    };
    request.check().map_err(|invalid| Problem::invalid(invalid.field, invalid.detail))?;
    let wake = flag(&call, "wake")?;
    let (org, machine) = (call.parameter("org")?.into(), call.parameter("machine")?.into());
    let caller: Caller = call.run(vec![org, machine, request.service.clone().into()]).await?.read()?;
    let body = logs::read(&call.env, &caller, &request, wake).await?;
    let media_type = if request.follow { EVENT_STREAM } else { "application/json" };
    Ok(Answer::stream(200, body).with("content-type", media_type.to_owned()))
}

fn cursor(call: &Call, field: &'static str) -> Result<Option<Cursor>, Problem> {
    let parse = |text: &str| text.parse().map_err(|error| Problem::invalid(field, format!("{error}")));
    call.query(field).map(parse).transpose()
}

fn flag(call: &Call, field: &'static str) -> Result<bool, Problem> {
    match call.query(field) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(Problem::invalid(field, "This is true or false.")),
    }
}
