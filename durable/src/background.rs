//! Work that an object's events do not wait for. One form of future for all of it, so that what runs it is compiled once.

use std::pin::Pin;

use worker::State;

/// Keeps the object until the work is done, and does not wait for it.
pub(crate) fn run(state: &State, work: impl Future<Output = ()> + 'static) {
    let work: Pin<Box<dyn Future<Output = ()>>> = Box::pin(work);
    state.wait_until(work);
}
