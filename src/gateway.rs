//! The way to machines: their objects, the sockets of their agents, and the URLs of their apps.

pub mod access;
pub mod agent;
pub mod apps;
pub mod cookies;
pub mod dial;
pub mod exec;
pub mod feed;
pub mod forward;
pub mod handshake;
pub mod logs;
pub mod object;
pub mod outside;
pub mod resolve;
pub mod sockets;
pub mod terminals;
