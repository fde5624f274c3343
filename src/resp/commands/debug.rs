//! DEBUG, for tests: refused unless the server was started with it.

use super::super::context::{Answer, Context, Done};
use super::super::engine::Engine;
use super::super::out::Out;
use super::super::refusal::{Refusal, shown};
use super::table::{ADMIN, Command};
use std::time::Duration;

pub(crate) const COMMANDS: &[Command] = &[Command::server("debug", -2, ADMIN, debug)];

/// The longest that a client may have the whole server sleep, in seconds.
const LONGEST_SLEEP: f64 = 3600.0;

fn debug(engine: &mut Engine, _: usize, args: &[&[u8]], out: &mut Out) -> Answer {
    if !engine.config.debug {
        return Err(Refusal::of(
            "ERR DEBUG command not allowed. If the enable-debug-command option is set to \
             \"local\", you can run it from a local connection, otherwise you need to set this \
             option when the server is started.",
        ));
    }
    match (&args[1].to_ascii_lowercase()[..], &args[2..]) {
        // What is on disk is read anew, whichever of Redis's two forms of it was meant.
        (b"reload" | b"loadaof", _) => engine.reopen()?,
        (b"sleep", [seconds]) => {
            let seconds = std::str::from_utf8(seconds).ok().and_then(|text| text.parse().ok());
            let seconds: f64 = seconds.unwrap_or(0.0);
            let seconds = if seconds.is_finite() { seconds.clamp(0.0, LONGEST_SLEEP) } else { 0.0 };
            std::thread::sleep(Duration::from_secs_f64(seconds));
        }
        // Whatever these would switch is not there, or a note that nobody reads.
        (b"set-active-expire" | b"log" | b"jmap" | b"quicklist-packed-threshold", _) => {}
        (b"object", [key]) => return object(&mut engine.context(0, false), key, out),
        _ => {
            let sub = shown(args[1]);
            return Err(Refusal::new(format!(
                "ERR unknown subcommand or wrong number of arguments for '{sub}'. Try DEBUG HELP."
            )));
        }
    }
    out.ok();
    Ok(Done::Replied)
}

fn object(context: &mut Context<'_>, key: &[u8], out: &mut Out) -> Answer {
    context.stream(key)?.ok_or(Refusal::NO_SUCH_KEY)?;
    out.simple(
        "Value at:0x0 refcount:1 encoding:stream serializedlength:0 lru:0 lru_seconds_idle:0",
    );
    Ok(Done::Replied)
}
