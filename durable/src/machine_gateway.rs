//! `MachineGateway`: one object per machine. It serializes what happens to the machine, holds what is live, and
//! writes through to Postgres, which is the authority.

pub mod command;
