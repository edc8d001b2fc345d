//! The stack that the tests of one binary share, and the assertions about what it is.

use std::sync::{Arc, OnceLock};

use tokio::runtime::Runtime;
use xtask::database::connect::connect;
use xtask::stack::{Stack, StackBuilder};

use crate::client::{Client, Credential};

/// A running stack with a front door.
#[derive(Debug)]
pub struct World {
    /// The stack.
    pub stack: Stack,
    site: Arc<Site>,
}

/// Where the front door is.
#[derive(Debug)]
pub struct Site {
    /// The port it listens on.
    pub port: u16,
    /// The console's host, with the port.
    pub host: String,
    /// The console's origin.
    pub origin: String,
}

/// The shared stack. The first test that asks starts it, on a runtime that lives as long as the process; its programs
/// ask the kernel to be killed with the process, since nothing drops a static.
pub fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        std::thread::spawn(|| {
            let runtime: &'static Runtime = Box::leak(Box::new(Runtime::new().expect("a runtime")));
            runtime.block_on(async {
                let world = World::start(Stack::builder()).await;
                world.assert_as_in_production().await;
                world
            })
        })
        .join()
        .expect("the stack starts")
    })
}

impl World {
    /// Starts a private stack: for tests that break parts of it.
    pub async fn start(builder: StackBuilder) -> Self {
        let stack = builder.start().await.expect("a stack");
        let host = format!("localhost:{}", stack.port);
        let site = Arc::new(Site { port: stack.port, origin: stack.console.clone(), host });
        Self { stack, site }
    }

    /// Where its front door is.
    pub fn site(&self) -> &Arc<Site> {
        &self.site
    }

    /// Somebody without a credential.
    pub fn anonymous(&self) -> Client {
        Client::new(self.site.clone(), Credential::None)
    }

    /// The operator of this deployment, who has no account.
    pub fn operator(&self) -> Client {
        Client::new(self.site.clone(), Credential::Token(self.stack.secrets.operator_credential.clone()))
    }

    /// A connection that sees and may do everything, past the pooler.
    pub async fn superuser(&self) -> tokio_postgres::Client {
        connect(&self.stack.database.superuser).await.expect("the superuser connects")
    }

    /// A connection as the Worker has one.
    pub async fn as_worker(&self) -> tokio_postgres::Client {
        connect(&self.stack.database.app).await.expect("snap_app connects through PgBouncer")
    }

    /// The tests prove something only if the Worker's statements run as `snap_app`, through `PgBouncer`, and a server
    /// connection serves another client as soon as a transaction is over.
    async fn assert_as_in_production(&self) {
        let superuser = self.superuser().await;
        let row = superuser
            .query_one("select rolsuper or rolbypassrls from pg_roles where rolname = 'snap_app'", &[])
            .await
            .expect("snap_app exists");
        assert!(!row.get::<_, bool>(0), "snap_app must be an ordinary role");

        // A read that reaches the database: a session of nobody.
        let nobody = Client::new(self.site.clone(), Credential::Cookie(Arc::default()));
        nobody.cookie_jar_of_a_dead_session();
        nobody.get("/v1/account").await.problem(401, "unauthenticated");
        let rows = superuser
            .query("select distinct usename::text, pid from pg_stat_activity where application_name = 'snapvm'", &[])
            .await
            .expect("pg_stat_activity");
        let users: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        assert_eq!(users, ["snap_app"], "the Worker's statements must run as snap_app");
        let worker_server: i32 = rows[0].get(1);

        let (first, second) = (self.as_worker().await, self.as_worker().await);
        let mut servers = Vec::new();
        for client in [&first, &second, &first] {
            let row = client
                .query_typed("select pg_backend_pid(), current_user::text, session_user::text", &[])
                .await
                .expect("a query through PgBouncer");
            servers.push(row[0].get::<_, i32>(0));
            assert_eq!((row[0].get(1), row[0].get(2)), ("snap_app", "snap_app"));
        }
        // In session mode an open client would keep its server to itself.
        assert_eq!(servers, [worker_server; 3], "PgBouncer must pool transactions, for the Worker too");
    }
}
