//! Every answer against `docs/openapi.json`.
//!
//! Objects in answers may have no property that the document doesn't name: schemas are read more strictly here than
//! clients have to, so that an undocumented field is noticed before somebody depends on it.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use jsonschema::Validator;
use serde_json::{Value, json};

use crate::client::Answer;

/// An operation of the document.
#[derive(Debug)]
pub struct Operation {
    /// Its `operationId`.
    pub id: String,
    /// Its method, in capitals.
    pub method: String,
    /// Its path, with `{parameters}`.
    pub path: String,
    /// The status of success.
    pub success: u16,
    /// The schema of its body, as the document has it.
    pub request: Option<Value>,
    /// Whether success has a body.
    answer: Option<Validator>,
}

/// The document, ready to compare with.
#[derive(Debug)]
pub struct Contract {
    /// Every operation.
    pub operations: Vec<Operation>,
    problem: Validator,
}

/// The checked-in document.
pub fn contract() -> &'static Contract {
    static CONTRACT: OnceLock<Contract> = OnceLock::new();
    CONTRACT.get_or_init(|| {
        let text = include_str!("../../docs/openapi.json");
        Contract::read(&serde_json::from_str(text).expect("docs/openapi.json is JSON"))
    })
}

impl Contract {
    fn read(document: &Value) -> Self {
        let mut components = document["components"].clone();
        components["schemas"].as_object_mut().expect("schemas").values_mut().for_each(close);
        let validator = |schema: &Value| {
            let mut schema = schema.clone();
            schema["components"] = components.clone();
            jsonschema::draft202012::options()
                .should_validate_formats(true)
                .build(&schema)
                .unwrap_or_else(|error| panic!("a schema of docs/openapi.json: {error}"))
        };
        let mut operations = Vec::new();
        for (path, methods) in document["paths"].as_object().expect("paths") {
            for (method, operation) in methods.as_object().expect("methods") {
                let responses = operation["responses"].as_object().expect("responses");
                let successes: BTreeMap<u16, &Value> =
                    responses.iter().filter_map(|(status, answer)| Some((status.parse().ok()?, answer))).collect();
                let (success, answer) = successes.into_iter().next().expect("one status of success");
                operations.push(Operation {
                    id: operation["operationId"].as_str().expect("operationId").to_owned(),
                    method: method.to_uppercase(),
                    path: path.clone(),
                    success,
                    request: operation.pointer("/requestBody/content/application~1json/schema").cloned(),
                    answer: answer.pointer("/content/application~1json/schema").map(validator),
                });
            }
        }
        Self { operations, problem: validator(&json!({"$ref": "#/components/schemas/Problem"})) }
    }

    /// The operation behind a method and a path, if the document has it.
    pub fn find(&self, method: &str, path: &str) -> Option<&Operation> {
        let path = path.split(['?', '#']).next().unwrap_or_default();
        self.operations.iter().find(|operation| operation.method == method && fits(&operation.path, path))
    }

    /// An operation by its id.
    pub fn operation(&self, id: &str) -> &Operation {
        self.operations.iter().find(|operation| operation.id == id).unwrap_or_else(|| panic!("no operation {id}"))
    }

    /// Fails when an answer is not what the document promises.
    pub fn check(&self, method: &str, path: &str, answer: &Answer) {
        if path != "/v1" && !path.starts_with("/v1/") {
            return;
        }
        let asked = &answer.asked;
        if answer.status == 101 {
            // A WebSocket from here on: no document describes that, and nothing of it can be cached.
            assert_eq!(self.find(method, path).map(|operation| operation.success), Some(101), "{asked}");
            return;
        }
        assert_ne!(answer.status, 500, "{asked}: {}", answer.text());
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{asked}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{asked}");
        answer.request_id();
        if method == "HEAD" {
            return;
        }
        if answer.status >= 400 {
            self.check_problem(answer);
            return;
        }
        let operation = self.find(method, path).unwrap_or_else(|| panic!("{asked}: {} undocumented", answer.status));
        assert_eq!(answer.status, operation.success, "{asked}: {}", answer.text());
        match &operation.answer {
            None => assert!(answer.body.is_empty(), "{asked}: {}", answer.text()),
            Some(validator) => {
                assert_eq!(answer.header("content-type"), Some("application/json"), "{asked}");
                assert_valid(validator, answer);
            }
        }
    }

    fn check_problem(&self, answer: &Answer) {
        let asked = &answer.asked;
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{asked}: {}", answer.text());
        assert_valid(&self.problem, answer);
        let problem = answer.json();
        assert_eq!(problem["status"], answer.status, "{asked}");
        assert_eq!(problem["request_id"], answer.request_id(), "{asked}");
        let retry = problem["retry_after_seconds"].as_u64().map(|seconds| seconds.to_string());
        assert_eq!(answer.header("retry-after"), retry.as_deref(), "{asked}");
        if matches!(answer.status, 429 | 503) {
            assert!(retry.is_some(), "{asked}: {problem} doesn't say when to try again");
        }
    }
}

fn assert_valid(validator: &Validator, answer: &Answer) {
    let body = serde_json::from_slice(&answer.body)
        .unwrap_or_else(|error| panic!("{}: no JSON ({error}): {}", answer.asked, answer.text()));
    let errors: Vec<String> =
        validator.iter_errors(&body).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{}: {body}\n{}", answer.asked, errors.join("\n"));
}

fn fits(template: &str, path: &str) -> bool {
    let (mut template, mut path) = (template.split('/'), path.split('/'));
    loop {
        match (template.next(), path.next()) {
            (None, None) => return true,
            (Some(wanted), Some(segment)) if wanted == segment || (wanted.starts_with('{') && !segment.is_empty()) => {}
            _ => return false,
        }
    }
}

/// Forbids properties that a schema doesn't name.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if object.contains_key("properties") && !object.contains_key("additionalProperties") {
                object.insert("additionalProperties".to_owned(), Value::Bool(false));
            }
            object.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}
