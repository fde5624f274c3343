//! The password, and where a server may listen without one.

use crate::client::Served;
use streamlog::resp::ServerOptions;
use streamlog::{ErrorKind, Store};

fn guarded() -> Served {
    Served::start(ServerOptions::new().password("open sesame"))
}

/// Fails if the check of the password is left out for any command.
#[test]
fn a_stranger_gets_nothing() {
    let served = guarded();
    let mut client = served.client();
    for words in ["PING", "XLEN s", "CLIENT ID", "INFO", "MULTI", "CONFIG GET *", "SHUTDOWN"] {
        assert_eq!(client.ask(words), "-NOAUTH Authentication required.", "{words}");
    }
    assert!(client.ask("HELLO 3").starts_with("-NOAUTH HELLO must be called"));
    assert_eq!(
        client.ask("AUTH wrong"),
        "-WRONGPASS invalid username-password pair or user is disabled."
    );
    client.send_words(&[b"AUTH", b"open sesame"]);
    assert_eq!(client.reply().unwrap(), "+OK");
    assert_eq!(client.ask("PING"), "+PONG");
    // Another connection is another client.
    assert_eq!(served.client().ask("PING"), "-NOAUTH Authentication required.");
    // And RESET makes it a stranger again.
    assert_eq!(client.ask("RESET"), "+RESET");
    assert_eq!(client.ask("PING"), "-NOAUTH Authentication required.");
}

#[test]
fn hello_takes_the_password() {
    let served = guarded();
    let mut client = served.client();
    client.send_words(&[b"HELLO", b"3", b"AUTH", b"default", b"open sesame", b"SETNAME", b"me"]);
    assert!(client.reply().unwrap().starts_with("%[server redis"));
    assert_eq!(client.ask("CLIENT GETNAME"), "me");
    assert!(client.ask("HELLO 4").starts_with("-NOPROTO"));
    assert!(client.ask("HELLO 2").starts_with("*[server redis"));
}

#[test]
fn a_stranger_may_send_little() {
    let served = guarded();
    let mut client = served.client();
    client.raw("*11\r\n");
    assert_eq!(client.until_end(), ["-ERR Protocol error: unauthenticated multibulk length"]);
    let mut client = served.client();
    client.raw("*2\r\n$4\r\nAUTH\r\n$16385\r\n");
    assert_eq!(client.until_end(), ["-ERR Protocol error: unauthenticated bulk length"]);
    // The same is no matter once the password was given.
    let mut client = served.client();
    client.raw("AUTH \"open sesame\"\r\n*2\r\n$4\r\nECHO\r\n$16385\r\n");
    client.raw([b'x'; 16385]);
    client.raw("\r\n");
    assert_eq!(client.reply().unwrap(), "+OK");
    assert_eq!(client.reply().unwrap().len(), 16385);
}

/// Fails if `check_guarded` lets everything through.
#[test]
fn nobody_listens_to_the_world_without_a_password() {
    let store = Store::in_memory().unwrap();
    for address in ["0.0.0.0", "::"] {
        let options = ServerOptions::new().port(0).bind(address);
        let error = options.clone().start(&store).unwrap_err();
        let refused = matches!(error.kind(), ErrorKind::InvalidConfig { field: "bind", .. });
        assert!(refused, "{address}: {error}");
        if address == "0.0.0.0" {
            let served = Served::on(&store, options.password("x"));
            let address = (std::net::Ipv4Addr::LOCALHOST, served.address().port()).into();
            let mut client = crate::client::Client::connect(address);
            assert_eq!(client.ask("AUTH x"), "+OK");
            client.send_words(&[b"CONFIG", b"SET", b"requirepass", b""]);
            assert!(client.reply().unwrap().starts_with("-ERR CONFIG SET failed"));
        }
    }
}

#[test]
#[cfg(unix)]
fn a_socket_is_its_owners() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    for _ in 0..2 {
        let store = Store::in_memory().unwrap();
        let options = ServerOptions::new().no_port().unix_socket(&path);
        let served = Served::run(options.start(&store).unwrap());
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let socket = std::os::unix::net::UnixStream::connect(&path).unwrap();
        std::io::Write::write_all(&mut &socket, b"PING\r\n").unwrap();
        let mut reply = [0; 7];
        std::io::Read::read_exact(&mut &socket, &mut reply).unwrap();
        assert_eq!(&reply, b"+PONG\r\n");
        assert_eq!(served.handle.local_addr(), None);
        // Another server does not take it away.
        let options = ServerOptions::new().no_port().unix_socket(&path);
        assert!(options.start(&Store::in_memory().unwrap()).is_err());
        assert!(std::os::unix::net::UnixStream::connect(&path).is_ok());
        drop(served);
        assert!(!path.exists());
        // One that a killed server has left is no hindrance.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    }
}

/// Fails if an empty password, or one that is not UTF-8, is taken for none.
#[cfg(unix)]
#[test]
fn a_password_that_was_given_is_needed() {
    use std::os::unix::ffi::OsStrExt;
    use std::process::{Command, Stdio};
    let dir = tempfile::tempdir().unwrap();
    let serve = || {
        let mut program = Command::new(env!("CARGO_BIN_EXE_streamlog"));
        program.arg("serve").arg(dir.path().join("store")).args(["--port", "0"]);
        program.env_remove("STREAMLOG_PASSWORD").stdout(Stdio::piped()).stderr(Stdio::piped());
        program
    };
    let file = dir.path().join("password");
    std::fs::write(&file, "\nsecret\n").unwrap();
    let mut started = serve().arg("--password-file").arg(&file).spawn().unwrap();
    let mut line = String::new();
    let mut out = std::io::BufReader::new(started.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut out, &mut line).unwrap();
    started.kill().unwrap();
    started.wait().unwrap();
    assert_eq!(line, "");
    let password = std::ffi::OsStr::from_bytes(b"\xff\xfe");
    let mut started = serve().env("STREAMLOG_PASSWORD", password).spawn().unwrap();
    let mut out = std::io::BufReader::new(started.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut out, &mut line).unwrap();
    let address = line.trim().rsplit(' ').next().unwrap().parse().unwrap();
    let mut client = crate::client::Client::connect(address);
    let refused = client.ask("PING");
    client.send_words(&[b"AUTH", b"\xff\xfe"]);
    let opened = client.reply();
    started.kill().unwrap();
    started.wait().unwrap();
    assert_eq!(refused, "-NOAUTH Authentication required.");
    assert_eq!(opened.as_deref(), Some("+OK"));
}
