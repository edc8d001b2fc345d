//! The locked schema.

use snapvm_tests::locked::locked;
use snapvm_tests::world;
use xtask::database::connect::connect;
use xtask::database::schema::dump;

/// `cargo xtask db schema` writes it, so that a change of the migrations shows as what it does to the catalogs.
#[tokio::test]
async fn the_migrations_make_the_checked_in_schema() {
    let mut admin = connect(&world().stack.database.admin).await.unwrap();
    locked("schema.txt", &dump(&mut admin).await.unwrap());
}
