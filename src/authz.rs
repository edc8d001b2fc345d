//! Authorization: the policy table. It is enforced in the database (`authz.enter`, row-level security); nothing in
//! the Worker decides by role.

pub mod policy;
