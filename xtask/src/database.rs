//! Direct connections to Postgres as an administrator: migrations, and the schema's locked dump.

pub mod connect;
pub mod migrate;
mod migration_files;
pub mod schema;
mod tls;
