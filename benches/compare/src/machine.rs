//! What a reader must know of a run to judge its figures.

use crate::peer::{ROWS, redis};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Names and values, in the order in which they are printed.
pub fn about(scratch: &Path) -> Vec<(String, String)> {
    let mut about = vec![
        ("date".to_owned(), said("date", &["-u", "+%Y-%m-%d %H:%M UTC"])),
        ("streamlog at".to_owned(), said("git", &["describe", "--always", "--dirty"])),
        ("processor".to_owned(), processor()),
        ("memory".to_owned(), line_of("/proc/meminfo", "MemTotal:")),
        ("kernel".to_owned(), said("uname", &["-srm"])),
        ("file system".to_owned(), file_system(scratch)),
        ("compiler".to_owned(), said("rustc", &["--version"])),
        ("load when it began".to_owned(), first_words("/proc/loadavg", 3)),
    ];
    let packages = ROWS.iter().filter_map(|row| row.package).chain([
        "lmdb-master-sys",
        "libsqlite3-sys",
        "crc32fast",
        "memmap2",
    ]);
    about.extend(packages.map(|package| (package.to_owned(), version(package))));
    about.push((redis::PROGRAM.to_owned(), said(redis::PROGRAM, &["--version"])));
    about
}

/// Whether other programs take so much of the processors that the figures will not hold.
pub fn is_busy() -> bool {
    let load = first_words("/proc/loadavg", 1).parse().unwrap_or(0.0);
    load > 0.25 * std::thread::available_parallelism().map_or(1.0, |cores| cores.get() as f64)
}

/// The version of a package that this program was built with.
fn version(package: &str) -> String {
    let lock = include_str!("../Cargo.lock");
    let name = format!("name = \"{package}\"");
    let mut lines = lock.lines().skip_while(|line| *line != name).skip(1);
    let version = lines.next().and_then(|line| line.strip_prefix("version = "));
    version.unwrap_or("unknown").trim_matches('"').to_owned()
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.ok().filter(|output| output.status.success());
    let text = text.and_then(|output| String::from_utf8(output.stdout).ok());
    text.map_or_else(|| "unknown".to_owned(), |text| text.trim().to_owned())
}

fn line_of(path: &str, name: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.map_or("unknown", |line| line.trim_start_matches([' ', '\t', ':']).trim()).to_owned()
}

fn processor() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{cores} x {}", line_of("/proc/cpuinfo", "model name"))
}

fn first_words(path: &str, count: usize) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace().take(count).collect::<Vec<_>>().join(" ")
}

/// Type and options of the mount that the stores of a run lie in.
fn file_system(dir: &Path) -> String {
    let dir = fs::canonicalize(dir).unwrap_or_else(|_| dir.to_owned());
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let mounts = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        let (place, kind, options) = (words.next()?, words.next()?, words.next()?);
        dir.starts_with(place).then(|| (place.len(), format!("{kind} {options}")))
    });
    // Of mounts over the same place the last one is seen, which is what max_by_key returns.
    mounts.max_by_key(|mount| mount.0).map_or_else(|| "unknown".to_owned(), |mount| mount.1)
}
