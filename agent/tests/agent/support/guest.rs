//! The runtime's socket in the guest, as far as tasks go.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::UnixListener;
use tokio::sync::mpsc;

use super::soon;

pub struct Guest {
    tasks: Arc<Mutex<BTreeSet<String>>>,
    /// Every call: method and path.
    pub calls: mpsc::UnboundedReceiver<(Method, String)>,
}

impl Guest {
    pub fn start(path: PathBuf) -> Self {
        let listener = UnixListener::bind(path).unwrap();
        let tasks = Arc::new(Mutex::new(BTreeSet::new()));
        let (sender, calls) = mpsc::unbounded_channel();
        let shared = Arc::clone(&tasks);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (tasks, sender) = (Arc::clone(&shared), sender.clone());
                let service = service_fn(move |request: Request<Incoming>| {
                    let answer = answer(&tasks, &request);
                    let _ = sender.send((request.method().clone(), request.uri().path().to_owned()));
                    async move { Ok::<_, Infallible>(answer) }
                });
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        Self { tasks, calls }
    }

    pub fn add(&self, name: &str) {
        self.tasks.lock().unwrap().insert(name.to_owned());
    }

    pub fn names(&self) -> Vec<String> {
        self.tasks.lock().unwrap().iter().cloned().collect()
    }

    pub async fn called(&mut self, method: Method, path: &str) {
        soon(&format!("{method} {path}"), async {
            while let Some(call) = self.calls.recv().await {
                if call == (method.clone(), path.to_owned()) {
                    return;
                }
            }
            panic!("the runtime's socket is gone");
        })
        .await;
    }
}

fn answer(tasks: &Mutex<BTreeSet<String>>, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let mut tasks = tasks.lock().unwrap();
    let name = request.uri().path().strip_prefix("/v1/tasks/");
    let status = match (request.method(), name) {
        (&Method::PUT, Some(name)) => {
            tasks.insert(name.to_owned());
            200
        }
        (&Method::DELETE, Some(name)) if tasks.remove(name) => 204,
        (&Method::GET, None) => {
            let list: Vec<_> = tasks.iter().map(|name| serde_json::json!({ "name": name })).collect();
            return Response::new(Full::from(serde_json::json!({ "tasks": list }).to_string()));
        }
        _ => 404,
    };
    Response::builder().status(status).body(Full::default()).unwrap()
}
