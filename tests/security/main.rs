//! Who may see and do what: the catalogs, the rows, the pool and every operation.
//!
//! * `guard`, `catalog`: how tables, policies, functions and roles are built, and proof that the guard notices.
//! * `role_matrix`: every role against every table. `strangers`: random ones against every function.
//! * `pool`: many clients over few server connections, with errors, cancels and lost connections.
//! * `sweep`: every operation of the API as everybody; expectations come from `snapvm::authz::policy`. `requests`: a
//!   complete request for each.
//! * `schema`: the locked schema.
//!
//! All of it runs twice, on the newest Postgres and on the oldest that operators may have; see `xtask/src/test.rs`.

mod catalog;
mod guard;
mod pool;
mod prepared;
mod requests;
mod role_matrix;
mod schema;
mod strangers;
mod sweep;
