//! From a request to an operation's answer: route, credential, body, handler.

use futures::StreamExt;
use worker::{Context, Env, Method, Request, Response};

use crate::answer::{Answer, refuse};
use crate::authn::{Presented, authenticate};
use crate::authz::policy::{self, Caller};
use crate::config::Config;
use crate::context::{BODY_MAX, Call};
use crate::error::{Error, Problem};
use crate::gateway::sockets::is_upgrade;
use crate::log;
use crate::router::{Match, find, method_name};

/// Answers a request to `/v1`.
///
/// # Errors
/// Only when no answer can be made at all; refusals are answers.
pub async fn answer(
    request: Request,
    env: Env,
    context: Context,
    config: Config,
    request_id: &str,
) -> Result<Response, Error> {
    let method = request.method();
    let answer = match run(request, env, context, config, request_id).await {
        Ok(answer) => answer.with("x-request-id", request_id.to_owned()),
        Err(error) => {
            log(&error, request_id);
            let answer = refuse(&error.problem(), request_id);
            match error {
                Error::Refused(Problem { status: 405, detail, .. }) => answer.with("allow", detail),
                _ => answer,
            }
        }
    };
    let mut answer = answer;
    if method == Method::Head {
        answer.body = String::new();
    }
    answer.respond()
}

async fn run(
    mut request: Request,
    env: Env,
    context: Context,
    config: Config,
    request_id: &str,
) -> Result<Answer, Error> {
    let url = request.url()?;
    let (route, parameters) = match find(&request.method(), url.path()) {
        Match::Found(route, parameters) => (route, parameters),
        Match::OtherMethods(methods) => return Err(Problem::new(405, "method", methods.join(", ")).into()),
        Match::Nothing => return Err(Problem::not_found().into()),
    };
    let rule = policy::rule(route.operation).ok_or(Error::Internal("an operation without a policy"))?;
    let headers = request.headers();
    let presented = Presented {
        authorization: headers.get("authorization")?,
        cookie: headers.get("cookie")?,
        origin: headers.get("origin")?,
        fetch_site: headers.get("sec-fetch-site")?,
        unsafe_method: method_name(&route.method) != "GET" || is_upgrade(&request)?,
    };
    let credential = authenticate(&presented, &config.console_origin)?;
    if rule.caller != Caller::Public && credential.is_none() {
        return Err(Problem::unauthenticated().into());
    }
    let address = headers.get("cf-connecting-ip")?.unwrap_or_else(|| "unknown".into());
    let user_agent: String = headers.get("user-agent")?.unwrap_or_default().chars().take(300).collect();
    let body = if method_name(&route.method) != "GET" { read_body(&mut request).await? } else { Vec::new() };
    let (parameters, query) = (decode_path(parameters)?, read_query(&url)?);
    let call = Call {
        operation: route.operation,
        request_id: request_id.to_owned(),
        query,
        env,
        context,
        config,
        address,
        user_agent,
        credential,
        parameters,
        body,
        request,
    };
    (route.handler)(call).await
}

/// The body, never more than [`BODY_MAX`] of it; JSON or nothing.
async fn read_body(request: &mut Request) -> Result<Vec<u8>, Error> {
    let too_large = || Problem::new(413, "too_large", format!("A body has at most {BODY_MAX} bytes. Send less."));
    let headers = request.headers();
    let declared = headers.get("content-length")?.and_then(|text| text.parse::<usize>().ok());
    if declared.is_some_and(|length| length > BODY_MAX) {
        return Err(too_large().into());
    }
    let content_type = headers.get("content-type")?;
    let mut body = Vec::new();
    // A request without a body has no stream.
    if let Ok(mut stream) = request.stream() {
        while let Some(chunk) = stream.next().await {
            body.extend_from_slice(&chunk?);
            if body.len() > BODY_MAX {
                return Err(too_large().into());
            }
        }
    }
    let is_json = content_type
        .as_deref()
        .and_then(|text| text.split(';').next())
        .is_some_and(|text| text.trim().eq_ignore_ascii_case("application/json"));
    if !body.is_empty() && !is_json {
        return Err(Problem::new(415, "content_type", "Send the body as application/json.").into());
    }
    Ok(body)
}

/// The variable parts of the path. Postgres knows no NUL, so what contains one names nothing.
fn decode_path(parameters: Vec<(String, String)>) -> Result<Vec<(String, String)>, Problem> {
    let decoded: Vec<_> = parameters.into_iter().map(|(key, value)| (key, percent_decode(&value))).collect();
    if decoded.iter().any(|(_, value)| value.contains('\0')) {
        return Err(Problem::not_found());
    }
    Ok(decoded)
}

/// The query, decoded.
fn read_query(url: &url::Url) -> Result<Vec<(String, String)>, Problem> {
    let query: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    match query.iter().find(|(_, value)| value.contains('\0')) {
        Some((key, _)) => Err(Problem::invalid(key, "This must not contain NUL characters.")),
        None => Ok(query),
    }
}

/// Path segments come percent-encoded; what does not decode names nothing and stays as it is.
fn percent_decode(text: &str) -> String {
    if !text.contains('%') {
        return text.to_owned();
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let decoded = (*first == b'%')
            .then(|| tail.get(..2))
            .flatten()
            .filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match decoded {
            Some(byte) => {
                bytes.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{decode_path, percent_decode};

    #[test]
    fn path_segments_decode() {
        assert_eq!(percent_decode("a%2Db"), "a-b");
        assert_eq!(percent_decode("a%2"), "a%2");
        assert_eq!(percent_decode("%zz%"), "%zz%");
        assert_eq!(percent_decode("%+1"), "%+1");
        assert_eq!(percent_decode("%ff"), "%ff");
    }

    #[test]
    fn what_contains_nul_names_nothing() {
        let segment = |text: &str| vec![("machine".to_owned(), text.to_owned())];
        assert!(decode_path(segment("a%00b")).is_err());
        assert_eq!(decode_path(segment("a%2Db")), Ok(segment("a-b")));
    }
}
