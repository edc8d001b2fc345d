//! The API through the front door: one file for each file of handlers.

mod accounts;
