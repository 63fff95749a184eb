//! What the kernel knows of a process and of its sockets.

use std::fs;
use std::time::Duration;

use rustix::process::Pid;
use tokio::net::TcpStream;

/// A process, seen from outside.
#[derive(Clone, Copy)]
pub(crate) struct Vitals(Pid);

impl Vitals {
    pub(crate) fn of(pid: Pid) -> Self {
        Self(pid)
    }

    /// Bytes of memory that it has now.
    pub(crate) fn memory(self) -> u64 {
        self.status("VmRSS:")
    }

    /// The most bytes of memory that it had since [`forget_peak`](Self::forget_peak).
    pub(crate) fn peak(self) -> u64 {
        self.status("VmHWM:")
    }

    /// Counts the peak from what it has now (proc(5), `clear_refs`).
    pub(crate) fn forget_peak(self) {
        fs::write(self.file("clear_refs"), "5").unwrap();
    }

    /// The processor's time that it has used, in user mode and in the kernel.
    pub(crate) fn busy(self) -> Duration {
        let stat = fs::read_to_string(self.file("stat")).unwrap();
        // The name of the program, in parentheses, may hold anything; utime and stime are the
        // 14th and 15th field (proc(5)).
        let (_, fields) = stat.rsplit_once(')').unwrap();
        let ticks: u64 = fields
            .split_whitespace()
            .skip(11)
            .take(2)
            .map(|ticks| ticks.parse::<u64>().unwrap())
            .sum();
        Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second())
    }

    /// Descriptors that it has open.
    pub(crate) fn descriptors(self) -> usize {
        fs::read_dir(self.file("fd")).unwrap().count()
    }

    fn status(self, name: &str) -> u64 {
        let status = fs::read_to_string(self.file("status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.unwrap().trim().trim_end_matches(" kB");
        kib.parse::<u64>().unwrap() * 1024
    }

    fn file(self, name: &str) -> String {
        format!("/proc/{}/{name}", self.0.as_raw_pid())
    }
}

/// Bytes in the kernel between the two ends of a connection over the loopback interface, both
/// ways together: sent and not received, or received and not read.
pub(crate) fn in_kernel(socket: &TcpStream) -> u64 {
    let (near, far) = (
        socket.local_addr().unwrap().port(),
        socket.peer_addr().unwrap().port(),
    );
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let fields: Vec<_> = line.split_whitespace().collect();
            let ends = (port(fields[1]), port(fields[2]));
            let (sent, received) = fields[4].split_once(':').unwrap();
            (ends == (near, far) || ends == (far, near)).then(|| hex(sent) + hex(received))
        })
        .sum()
}

fn port(address: &str) -> u16 {
    let (_, port) = address.split_once(':').unwrap();
    u16::from_str_radix(port, 16).unwrap()
}

fn hex(number: &str) -> u64 {
    u64::from_str_radix(number, 16).unwrap()
}
