//! The API through the front door: one file for each file of handlers, refusals first; and what happens when the
//! database is away.

mod accounts;
mod audit;
mod checkpoints;
mod events;
mod feed;
mod first_boot;
mod holds;
mod logs;
mod machines;
mod members;
mod orgs;
mod outage;
mod ports;
mod quotas;
mod round_trips;
mod routing;
mod services;
mod sessions;
mod terminals;
mod tokens;
mod usage;
mod variables;
