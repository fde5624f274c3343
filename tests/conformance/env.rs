//! What a test is given: a server with nothing in it, a connection, and the questions about the
//! server that many tests ask.

use crate::client::{Client, Outcome};
use crate::server::{Server, Target};
use std::time::{Duration, Instant};

pub(crate) struct Env<'a> {
    server: &'a mut Server,
    /// The test's first connection.
    pub(crate) c: Client,
}

/// What CONFIG SET is put back to before each test.
const SETTINGS: [&str; 4] = [
    "CONFIG SET stream-node-max-entries 100",
    "CONFIG SET stream-node-max-bytes 4096",
    "CONFIG SET stream-idmp-duration 100",
    "CONFIG SET stream-idmp-maxsize 100",
];

impl<'a> Env<'a> {
    pub(crate) fn new(server: &'a mut Server) -> Result<Env<'a>, String> {
        let mut c = server.client()?;
        if !server.target.is_stub() {
            c.ok("FLUSHALL")?;
            for setting in SETTINGS {
                // Redis 7.0 does not know those of idempotent producers.
                c.ask(setting)?;
            }
        }
        Ok(Env { server, c })
    }

    pub(crate) fn target(&self) -> Target {
        self.server.target
    }

    /// One more connection.
    pub(crate) fn client(&self) -> Result<Client, String> {
        self.server.client()
    }

    /// A connection that has sent this command and waits, and the server knows it: `blocked` is
    /// how many connections wait then.
    pub(crate) fn blocked(&mut self, command: &str, blocked: i64) -> Result<Client, String> {
        let mut client = self.client()?;
        client.send(command)?;
        self.wait_blocked(blocked)?;
        Ok(client)
    }

    /// Waits until so many connections are blocked.
    pub(crate) fn wait_blocked(&mut self, n: i64) -> Outcome {
        self.wait_info("blocked_clients", n)
    }

    /// A number of INFO.
    pub(crate) fn info(&mut self, name: &str) -> Result<i64, String> {
        let text = self.info_text("everything", name)?;
        text.parse().map_err(|_| format!("INFO: {name} is {text}"))
    }

    /// What stands behind `name:` in this section of INFO.
    pub(crate) fn info_text(&mut self, section: &str, name: &str) -> Result<String, String> {
        let all = self.c.text(format!("INFO {section}"))?;
        let found = all.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        found.map(str::to_owned).ok_or_else(|| format!("INFO {section} has no {name}"))
    }

    /// Waits until a number of INFO has this value.
    pub(crate) fn wait_info(&mut self, name: &str, value: i64) -> Outcome {
        let deadline = Instant::now() + self.target().patience();
        loop {
            let now = self.info(name)?;
            if now == value {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(format!("INFO: {name} stays {now}, and was to become {value}"));
            }
            std::thread::sleep(Duration::from_millis(3));
        }
    }

    /// How much a step adds to `rdb_changes_since_last_save`.
    pub(crate) fn dirty(
        &mut self,
        step: impl FnOnce(&mut Env<'_>) -> Outcome,
    ) -> Result<i64, String> {
        let before = self.info("rdb_changes_since_last_save")?;
        step(self)?;
        Ok(self.info("rdb_changes_since_last_save")? - before)
    }

    /// Save everything and load it again.
    pub(crate) fn reload(&mut self) -> Outcome {
        self.c.ok("DEBUG RELOAD")
    }

    /// Rewrite the log to the shortest that gives the same.
    pub(crate) fn rewrite(&mut self) -> Outcome {
        let reply = self.c.ask("BGREWRITEAOF")?;
        if !matches!(reply, crate::reply::Reply::Simple(_)) {
            return Err(format!("BGREWRITEAOF: {reply}"));
        }
        self.wait_info("aof_rewrite_in_progress", 0)?;
        self.wait_info("aof_rewrite_scheduled", 0)
    }

    /// Throw away what is in memory and load the log.
    pub(crate) fn load_log(&mut self) -> Outcome {
        self.c.ok("DEBUG LOADAOF")
    }

    /// Kills the process and starts it on the same directory. Only for tests with a server of
    /// their own; all connections but `c` are gone.
    pub(crate) fn restart(&mut self) -> Outcome {
        self.server.restart()?;
        self.c = self.server.client()?;
        Ok(())
    }
}

pub(crate) fn sleep_ms(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
}
