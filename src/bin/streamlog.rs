//! The program `streamlog`: serves a store over Redis's protocol.

use lexopt::prelude::*;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::error::Error;
use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use streamlog::resp::{AppendFsync, ServerOptions};
use streamlog::{OnDamage, StoreOptions};

const HELP: &str = "\
streamlog serve DIR [options]
    Opens the store in DIR, which is made if it is not there, and serves it over
    Redis's protocol. Ends with SIGINT, SIGTERM or SHUTDOWN.

    --bind ADDRESS           where to listen, 127.0.0.1 by default; any other than
                             a loopback address needs a password
    --port PORT              6380 by default; 0 for any that is free
    --no-port                no port, only the socket
    --unixsocket PATH        also listens on a socket, for the owner only
    --password-file PATH     the first line of the file is the password
    --password PASSWORD      the same; whoever sees the list of processes sees it,
                             which he does not in the environment variable
                             STREAMLOG_PASSWORD
    --appendfsync WHEN       always, everysec (the default) or no
    --maxclients N           10000 by default; at most three quarters of the
                             descriptors that the process may have
    --proto-max-bulk-len N   the longest word of a command, in bytes
    --client-query-buffer-limit N
    --client-output-buffer-limit N
                             the longest command and the longest reply
    --timeout SECONDS        sends idle clients away
    --skip-damage            goes on without what is damaged, and says what that is
    --enable-debug-command   allows DEBUG, for tests

streamlog --version
streamlog --help
";

struct Serve {
    dir: PathBuf,
    options: ServerOptions,
    store: StoreOptions,
}

enum Task {
    Serve(Box<Serve>),
    Print(String),
}

fn main() -> ExitCode {
    match parse().and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Where that cannot be written either, the exit code is all there is.
            drop(writeln!(std::io::stderr(), "streamlog: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<(), Box<dyn Error>> {
    match task {
        Task::Print(text) => Ok(std::io::stdout().write_all(text.as_bytes())?),
        Task::Serve(serve) => self::serve(*serve),
    }
}

fn serve(Serve { dir, options, store }: Serve) -> Result<(), Box<dyn Error>> {
    raise_limit();
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let server = options.open(dir, &store)?;
    let (handle, closing) = (server.handle(), signals.handle());
    let waiting = std::thread::spawn(move || {
        for _ in signals.forever() {
            handle.shutdown();
        }
    });
    let place = match server.local_addr() {
        Some(address) => address.to_string(),
        None => "its socket".to_owned(),
    };
    let mut out = std::io::stdout();
    writeln!(out, "Ready to accept connections on {place}")?;
    out.flush()?;
    let served = server.run();
    closing.close();
    drop(waiting.join());
    Ok(served?)
}

/// Lets the process have as many descriptors as it may ask for: the usual limit is less than the
/// clients that there may be.
fn raise_limit() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, getrlimit, setrlimit};
        let mut limit = getrlimit(Resource::Nofile);
        limit.current = limit.maximum;
        // Where that is refused there is room for fewer clients.
        setrlimit(Resource::Nofile, limit).ok();
    }
}

fn parse() -> Result<Task, Box<dyn Error>> {
    let mut parser = lexopt::Parser::from_env();
    match parser.next()? {
        Some(Value(word)) if word == "serve" => parse_serve(parser),
        Some(Long("version") | Short('V')) => {
            Ok(Task::Print(format!("streamlog {}\n", env!("CARGO_PKG_VERSION"))))
        }
        Some(Long("help") | Short('h')) | None => Ok(Task::Print(HELP.to_owned())),
        Some(other) => Err(other.unexpected().into()),
    }
}

fn parse_serve(mut parser: lexopt::Parser) -> Result<Task, Box<dyn Error>> {
    let (mut dir, mut options, mut store) = (None, ServerOptions::new(), StoreOptions::default());
    let password = std::env::var_os("STREAMLOG_PASSWORD").map(OsString::into_encoded_bytes);
    let mut password = password.filter(|word| !word.is_empty());
    while let Some(word) = parser.next()? {
        match word {
            Value(path) if dir.is_none() => dir = Some(PathBuf::from(path)),
            Long("bind") => options = options.bind(parser.value()?.string()?),
            Long("port") => options = options.port(parser.value()?.parse()?),
            Long("no-port") => options = options.no_port(),
            Long("unixsocket") => options = options.unix_socket(parser.value()?),
            Long("password") => password = Some(parser.value()?.into_encoded_bytes()),
            Long("password-file") => {
                let text = std::fs::read(parser.value()?)?;
                let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
                password = Some(line.strip_suffix(b"\r").unwrap_or(line).to_owned());
            }
            Long("appendfsync") => {
                options = options.append_fsync(fsync(&parser.value()?.string()?)?)
            }
            Long("maxclients") => options = options.max_clients(parser.value()?.parse()?),
            Long("proto-max-bulk-len") => {
                options = options.max_bulk_bytes(parser.value()?.parse()?);
            }
            Long("client-query-buffer-limit") => {
                options = options.max_query_bytes(parser.value()?.parse()?);
            }
            Long("client-output-buffer-limit") => {
                options = options.max_reply_bytes(parser.value()?.parse()?);
            }
            Long("timeout") => {
                let seconds = parser.value()?.parse()?;
                options = options.idle_timeout(std::time::Duration::from_secs(seconds));
            }
            Long("skip-damage") => store = store.on_damage(OnDamage::Skip),
            Long("enable-debug-command") => options = options.enable_debug_command(true),
            Long("help") | Short('h') => return Ok(Task::Print(HELP.to_owned())),
            other => return Err(other.unexpected().into()),
        }
    }
    let dir = dir.ok_or("serve needs the directory of the store")?;
    if let Some(password) = password {
        // Who gives one does not want a server without.
        if password.is_empty() {
            return Err("the password is empty".into());
        }
        options = options.password(password);
    }
    Ok(Task::Serve(Box::new(Serve { dir, options, store })))
}

fn fsync(when: &str) -> Result<AppendFsync, String> {
    match when {
        "always" => Ok(AppendFsync::Always),
        "everysec" => Ok(AppendFsync::EverySecond),
        "no" => Ok(AppendFsync::Never),
        other => Err(format!("appendfsync is always, everysec or no, not {other}")),
    }
}
