//! Prints `migrations/api/policy.sql`.

#[expect(clippy::print_stdout, reason = "printing is what it is for")]
fn main() {
    print!("{}", snapvm::authz::policy::sql());
}
