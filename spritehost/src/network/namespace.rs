//! Doing things inside another network namespace.
//!
//! A namespace belongs to a thread, so this work has threads of its own that never run anything else: a thread that
//! moved must not go back into a pool. A socket stays in the namespace it was made in, whoever uses it later.

use std::io;
use std::net::TcpStream;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, mpsc};

use rustix::net::{AddressFamily, SocketFlags, SocketType};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio::sync::oneshot;

use super::NetworkError;

type Job = (Arc<OwnedFd>, Box<dyn FnOnce(io::Result<()>) + Send>);

/// A thread that makes sockets in namespaces.
pub(super) struct Namespaces {
    jobs: mpsc::Sender<Job>,
}

impl Namespaces {
    pub(super) fn start() -> io::Result<Self> {
        let (jobs, queue) = mpsc::channel::<Job>();
        std::thread::Builder::new().name("namespaces".into()).spawn(move || {
            for (namespace, job) in queue {
                job(enter(&namespace));
            }
        })?;
        Ok(Self { jobs })
    }

    /// Runs something quick in a namespace.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        namespace: Arc<OwnedFd>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<T> {
        let (sender, answer) = oneshot::channel();
        let job = Box::new(move |entered: io::Result<()>| {
            let _ = sender.send(entered.map(|()| work()));
        });
        self.jobs.send((namespace, job)).map_err(|_| io::ErrorKind::BrokenPipe)?;
        answer.await.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?
    }
}

/// Runs something slow in a namespace, on a thread that ends with it.
pub(super) async fn in_thread(
    namespace: Arc<OwnedFd>,
    work: impl FnOnce() -> Result<(), NetworkError> + Send + 'static,
) -> Result<(), NetworkError> {
    let (sender, answer) = oneshot::channel();
    std::thread::Builder::new()
        .name("namespace".into())
        .spawn(move || {
            let outcome = enter(&namespace).map_err(NetworkError::at("setns")).and_then(|()| work());
            let _ = sender.send(outcome);
        })
        .map_err(NetworkError::at("thread"))?;
    answer.await.map_err(|_| NetworkError::at("thread")(io::Error::from(io::ErrorKind::BrokenPipe)))?
}

fn enter(namespace: &OwnedFd) -> io::Result<()> {
    Ok(move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?)
}

/// Makes a TCP socket in the calling thread's namespace; as a stream, because that is what tokio adopts.
pub(super) fn socket(version_6: bool) -> io::Result<TcpStream> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let family = if version_6 { AddressFamily::INET6 } else { AddressFamily::INET };
    Ok(rustix::net::socket_with(family, SocketType::STREAM, flags, None)?.into())
}
