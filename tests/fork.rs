//! A process that forks while it has a store open: the child is refused every call and loses nothing
//! that it had borrowed, and the parent goes on as if nothing had happened.
//!
//! The child really forks, so it has none of the other threads, those of the test harness least of
//! all: this is a test without the usual one, of one thread.
#![allow(unsafe_code, clippy::unwrap_used, clippy::print_stdout)]

#[cfg(not(unix))]
fn main() {
    println!("nothing forks here");
}

#[cfg(unix)]
fn main() {
    unix::main();
}

#[cfg(unix)]
mod unix {
    use std::future::Future;
    use std::path::Path;
    use std::pin::Pin;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::task::{Context, Poll, Waker};
    use std::time::{Duration, Instant};
    use streamlog::{
        AppendOptions, Durability, EntryId, Error, ErrorKind, GroupReadOptions, NewEntries,
        PendingFilter, ReadOptions, Start, Store, Stream, Ticket, Trim,
    };

    type Test = fn(&Path);

    pub(super) fn main() {
        let tests: [(&str, Test); 4] = [
            ("contract_c17_a_forked_child_is_refused_every_call", calls),
            ("a_forked_child_waits_for_no_lock", locked),
            ("a_forked_child_keeps_what_it_had_borrowed", borrowed),
            ("contract_c17_a_forked_child_keeps_no_lock_alive", lock),
        ];
        for (name, test) in tests {
            let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
            test(&place.path().join("store"));
            println!("test {name} ... ok");
        }
    }

    /// Forks. The child does its work and ends with 0, unless it panics.
    fn fork(work: impl FnOnce()) -> libc::pid_t {
        // SAFETY: this program has no thread of its own, and those of the store are not there in the
        // child, which is what it is to find out.
        match unsafe { libc::fork() } {
            0 => {
                let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
                // SAFETY: ends the process, without what the parent has registered for its own end.
                unsafe { libc::_exit(i32::from(done.is_err())) }
            }
            -1 => panic!("{}", std::io::Error::last_os_error()),
            child => child,
        }
    }

    /// How the child ended. One that hangs is killed, and has failed.
    fn wait(child: libc::pid_t) {
        let began = Instant::now();
        loop {
            let mut status = 0;
            // SAFETY: `status` is where the answer goes.
            let ended = unsafe { libc::waitpid(child, &raw mut status, libc::WNOHANG) };
            if ended == child {
                assert_eq!(status, 0, "the child ended badly (signal or exit code)");
                return;
            }
            if began.elapsed() > Duration::from_secs(60) {
                // SAFETY: it is a child of this process that was not waited for yet.
                unsafe { libc::kill(child, libc::SIGKILL) };
                panic!("the child hangs");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn refused<T>(what: &str, answer: Result<T, Error>) {
        match answer {
            Err(error) if *error.kind() == ErrorKind::ForkedProcess => {}
            Err(error) => panic!("{what}: {error}"),
            Ok(_) => panic!("{what}: the child was served"),
        }
    }

    fn id(ms: u64) -> EntryId {
        EntryId::new(ms, 0)
    }

    fn fill(stream: &Stream, numbers: std::ops::Range<u64>) {
        for n in numbers {
            let options = AppendOptions::new().id(id(n));
            stream.append_with([("n", n.to_string())], options).unwrap();
        }
    }

    fn numbers(stream: &Stream) -> Vec<u64> {
        stream.range(..).map(|entry| entry.unwrap().id().ms).collect()
    }

    /// Fails if `check_open` (src/store.rs) does not ask which process it is.
    fn calls(dir: &Path) {
        for level in [
            Durability::Always,
            Durability::Interval { every: Duration::from_millis(1), max_unsynced_bytes: 1 << 20 },
            Durability::Manual,
        ] {
            let store = Store::options().durability(level).open(dir).unwrap();
            let name = format!("{level:?}");
            let stream = store.stream(&name).unwrap();
            fill(&stream, 1..20);
            let group = stream.group("g", Start::First).unwrap();
            let me = group.consumer("c").unwrap();
            let delivery = me.read(GroupReadOptions::new().count(5)).unwrap();
            let ticket = stream.append_async_with([("a", "b")], AppendOptions::new().id(id(20)));
            let mut ticket = ticket.unwrap();
            let poll = |ticket: &mut Ticket| {
                Pin::new(ticket).poll(&mut Context::from_waker(Waker::noop()))
            };
            let _ready_or_not = poll(&mut ticket);
            let child = fork(|| {
                refused("append", stream.append([("a", "b")]));
                refused("append_async", stream.append_async([("a", "b")]));
                match poll(&mut ticket) {
                    Poll::Ready(answer) => refused("a ticket", answer),
                    Poll::Pending => panic!("a ticket waits for a thread that is not there"),
                }
                // Nobody may have let go of the lock that its place is behind.
                // SAFETY: a bitwise copy in a process of its own, which ends without the other.
                drop(unsafe { std::ptr::read(&raw const ticket) });
                let mut batch = NewEntries::new();
                batch.push([("a", "b")]).unwrap();
                refused("append_batch", stream.append_batch(&batch));
                refused("get", stream.get(id(1)));
                refused("range", stream.range(..).next().unwrap());
                let block = ReadOptions::new().block(Duration::from_secs(600));
                refused("read", stream.read(Start::Last, block));
                refused("tail", stream.tail(Start::Last).map(drop));
                refused("delete", stream.delete([id(1)]));
                refused("trim", stream.trim(Trim::max_len(1)));
                refused("sync", stream.sync());
                refused("len", stream.len());
                refused("info", stream.info());
                refused("create_group", stream.create_group("h", Start::First));
                let block = GroupReadOptions::new().block(Duration::from_secs(600));
                refused("group read", me.read(block));
                refused("history", me.history(EntryId::MIN, 9));
                refused("claim", me.claim([id(1)], Duration::ZERO));
                refused("auto_claim", me.auto_claim(EntryId::MIN, Duration::ZERO, 9));
                refused("ack", group.ack([id(1)]));
                refused("pending", group.pending());
                refused("stream", store.stream("new"));
                refused("get", store.get(&name));
                refused("remove", store.remove(&name));
                refused("sync", store.sync());
                // The threads are the parent's: nobody waits for them here.
                drop((delivery.clone(), me.clone(), group.clone(), stream.clone()));
                refused("close", store.clone().close());
            });
            wait(child);
            // All handles go in the child, none is closed.
            let handles = (stream, group, me, delivery, store);
            let child = fork(|| {
                // SAFETY: a bitwise copy in a process of its own; the child ends without dropping
                // the other one.
                drop(unsafe { std::ptr::read(&raw const handles) });
            });
            wait(child);
            let (stream, group, _, delivery, store) = handles;
            assert_eq!(delivery.ack_all().unwrap(), 5);
            ticket.wait().unwrap();
            fill(&stream, 21..30);
            assert_eq!(numbers(&stream), (1..30).collect::<Vec<_>>());
            drop((stream, group));
            store.close().unwrap();
        }
    }

    /// Threads that hold the locks nearly all the time, so that one of them holds each at a fork.
    fn hold_the_locks(store: &Store, stream: &Stream, done: &AtomicBool) {
        let group = stream.group("g", Start::First).unwrap();
        let again = |work: &(dyn Fn() + Sync)| {
            while !done.load(Ordering::Relaxed) {
                work();
            }
        };
        std::thread::scope(|threads| {
            // The names, while a record is written; the state, while a list is copied; the reports.
            threads.spawn(|| {
                again(&|| {
                    store.rename("other", "another").unwrap();
                    store.rename("another", "other").unwrap();
                });
            });
            threads.spawn(|| again(&|| drop(group.pending_range(.., PendingFilter::new()))));
            threads.spawn(|| again(&|| drop(store.recovery())));
            again(&|| drop(store.health()));
        });
    }

    /// Fails (by a child that hangs) if `Store::own` (src/store/manage.rs) or `Stream::name` does not
    /// ask which process it is.
    fn locked(dir: &Path) {
        let store = Store::options().durability(Durability::Manual).open(dir).unwrap();
        let stream = store.stream("s").unwrap();
        store.stream("other").unwrap();
        for n in 0..300 {
            store.stream(format!("stream {n}")).unwrap();
        }
        fill(&stream, 1..5000);
        let group = stream.group("g", Start::First).unwrap();
        assert_eq!(group.consumer("c").unwrap().read(GroupReadOptions::new()).unwrap().len(), 4999);
        let channel = stream.subscribe(Start::First, 1).unwrap();
        let done = AtomicBool::new(false);
        std::thread::scope(|threads| {
            threads.spawn(|| hold_the_locks(&store, &stream, &done));
            let _end = Done(&done);
            for _ in 0..30 {
                let child = fork(|| {
                    assert!(!store.exists("s"));
                    assert!(store.names().is_empty());
                    let health = store.health();
                    assert!(health.closed && health.open_streams == 0);
                    assert_eq!(store.recovery(), streamlog::RecoveryReport::default());
                    assert!(stream.name().is_empty());
                    assert_eq!(
                        format!("{stream:?} {channel:?}"),
                        "Stream(\"\") Subscription(Stream(\"\"))"
                    );
                    // SAFETY: a bitwise copy in a process of its own, which ends without dropping
                    // the other one.
                    drop(unsafe { std::ptr::read(&raw const channel) });
                });
                wait(child);
            }
        });
        assert_eq!(stream.name(), b"s");
        assert!(store.exists("s") && store.names().len() == 302);
    }

    /// Ends the threads, also when a child has failed.
    struct Done<'a>(&'a AtomicBool);

    impl Drop for Done<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    /// Fails if the maps are taken from the child (`MADV_DONTFORK`).
    fn borrowed(dir: &Path) {
        let store = Store::options().durability(Durability::Manual).open(dir).unwrap();
        let stream = store.stream("s").unwrap();
        fill(&stream, 1..2000);
        let snapshot = stream.snapshot().unwrap();
        let child = fork(|| {
            let ids = snapshot.range(..).map(|entry| entry.unwrap().id().ms);
            assert!(ids.eq(1..2000));
        });
        fill(&stream, 2000..4000);
        wait(child);
        drop(snapshot);
        assert_eq!(numbers(&stream), (1..4000).collect::<Vec<_>>());
    }

    /// Fails if the lock is left to the kernel (`Drop` of `RealLock`, src/storage/real.rs), which
    /// keeps it for the child.
    fn lock(dir: &Path) {
        let store = Store::open(dir).unwrap();
        let (mut from_child, to_parent) = std::io::pipe().unwrap();
        let (mut from_parent, to_child) = std::io::pipe().unwrap();
        let mut to_parent = Some(to_parent);
        let mut to_child = Some(to_child);
        let child = fork(|| {
            drop(to_child.take());
            // SAFETY: as above. It was the last handle.
            drop(unsafe { std::ptr::read(&raw const store) });
            drop(to_parent.take());
            // Until the parent lets it go.
            std::io::Read::read_to_end(&mut from_parent, &mut Vec::new()).unwrap();
        });
        drop(to_parent);
        std::io::Read::read_to_end(&mut from_child, &mut Vec::new()).unwrap();
        // The child has dropped a handle, and the store is the parent's still.
        let error = Store::open(dir).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Locked { .. }), "{error}");
        store.close().unwrap();
        // The child lives and has the file's descriptor.
        Store::open(dir).unwrap().close().unwrap();
        drop(to_child);
        wait(child);
    }
}
