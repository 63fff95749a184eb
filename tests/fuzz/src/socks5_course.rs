//! Which host of a bytestream is dialled when, whatever becomes of each.

use std::time::{Duration, Instant};

use arbitrary::{Result, Unstructured};
use tubes_socks5::{Course, Next, Reached, Way};
use tubes_transport::Kind;

/// Runs the steps that the bytes stand for, and lets what is left fail: no host is dialled twice,
/// every one is that may be, and a Gabble's listener is never reached a second time.
pub fn socks5_course(data: &[u8]) {
    let mut bytes = Unstructured::new(data);
    let Ok(mut run) = Run::draw(&mut bytes) else {
        return;
    };
    for _ in 0..MOST_STEPS {
        if bytes.is_empty() || run.step(&mut bytes).is_err() {
            break;
        }
    }
    run.finish();
}

struct Run {
    course: Course,
    kind: Kind,
    hosts: Vec<Way>,
    begun: Instant,
    deadline: Instant,
    now: Instant,
    dialled: Vec<usize>,
    /// Those of them that nothing has become of yet.
    dialling: Vec<usize>,
    /// Whether a Gabble's listener took a connection in vain: it takes no other.
    is_spoilt: bool,
}

impl Run {
    fn draw(bytes: &mut Unstructured<'_>) -> Result<Self> {
        let kind = match bytes.arbitrary()? {
            true => Kind::Ours,
            false => Kind::Other,
        };
        let ways = |proxy| match proxy {
            true => Way::Proxy,
            false => Way::Direct,
        };
        let count = bytes.int_in_range(0..=MOST_HOSTS)?;
        let hosts: Vec<_> = (0..count)
            .map(|_| bytes.arbitrary().map(ways))
            .collect::<Result<_>>()?;
        let begun = Instant::now();
        let deadline = begun + Duration::from_millis(u64::from(bytes.arbitrary::<u16>()?));
        let course = Course::new(kind, hosts.iter().copied(), begun, deadline);
        let (dialled, dialling) = (Vec::new(), Vec::new());
        Ok(Self {
            course,
            kind,
            hosts,
            begun,
            deadline,
            now: begun,
            dialled,
            dialling,
            is_spoilt: false,
        })
    }

    fn step(&mut self, bytes: &mut Unstructured<'_>) -> Result<()> {
        match bytes.arbitrary::<u8>()? % 5 {
            0 | 1 => drop(self.poll()),
            2 => self.now += Duration::from_millis(u64::from(bytes.arbitrary::<u16>()? % 3000)),
            which => {
                if self.dialling.is_empty() {
                    // What never was a host changes nothing.
                    self.course
                        .handle_failed(self.hosts.len(), Reached::Listener);
                    return Ok(());
                }
                let at = bytes.choose_index(self.dialling.len())?;
                self.fail(at, reached(which));
            }
        }
        Ok(())
    }

    fn fail(&mut self, at: usize, reached: Reached) {
        let host = self.dialling.swap_remove(at);
        self.course.handle_failed(host, reached);
        let is_listener = reached == Reached::Listener && self.way(host) == Way::Direct;
        self.is_spoilt |= is_listener && self.kind == Kind::Other;
    }

    fn poll(&mut self) -> Next {
        let next = self.course.poll(self.now);
        match next {
            Next::Dial { host, within } => self.dial(host, within),
            Next::Wait(Some(due)) => {
                assert!(due > self.now, "waits for what is past");
                assert_eq!(self.kind, Kind::Ours, "others are waited for, not raced");
            }
            Next::Wait(None) => assert!(!self.dialling.is_empty(), "waits for nothing"),
            Next::Exhausted => {
                assert!(self.dialling.is_empty(), "gives up what is being dialled");
                let left = (0..self.hosts.len()).filter(|host| !self.dialled.contains(host));
                for host in left {
                    assert!(self.is_spoilt && self.way(host) == Way::Direct);
                }
            }
        }
        next
    }

    fn dial(&mut self, host: usize, within: Duration) {
        assert!(!self.dialled.contains(&host), "dialled twice");
        let left = self.deadline.saturating_duration_since(self.now);
        assert!(within <= left, "longer than there is time");
        match (self.kind, self.way(host)) {
            (Kind::Other, way) => {
                assert!(self.dialling.is_empty(), "two at once");
                assert!(!(self.is_spoilt && way == Way::Direct), "aborts a Gabble");
                assert!(within <= LONGEST);
                // The order is the peer's.
                let passed = (0..host).filter(|before| !self.dialled.contains(before));
                for before in passed {
                    assert!(self.is_spoilt && self.way(before) == Way::Direct);
                }
            }
            (Kind::Ours, Way::Direct) => {}
            (Kind::Ours, Way::Proxy) => {
                let untried = |host| self.way(host) == Way::Direct && !self.dialled.contains(&host);
                assert!(!(0..self.hosts.len()).any(untried), "direct ones go first");
                let mut direct = self.dialling.iter();
                let may_still = direct.any(|host| self.way(*host) == Way::Direct);
                assert!(!may_still || self.now >= self.begun + HEAD_START);
            }
        }
        self.dialled.push(host);
        self.dialling.push(host);
    }

    /// Everything fails from here on, and time passes where it is waited for.
    fn finish(&mut self) {
        for _ in 0..=4 * usize::from(MOST_HOSTS) {
            match self.poll() {
                Next::Dial { .. } => {}
                Next::Wait(Some(due)) => self.now = due,
                Next::Wait(None) => self.fail(0, Reached::Nothing),
                Next::Exhausted => return,
            }
        }
        panic!("it never ends");
    }

    fn way(&self, host: usize) -> Way {
        match self.hosts.get(host) {
            Some(way) => *way,
            None => panic!("no host: {host}"),
        }
    }
}

fn reached(which: u8) -> Reached {
    match which {
        3 => Reached::Nothing,
        _ => Reached::Listener,
    }
}

/// As many as are read of a query.
const MOST_HOSTS: u8 = 16;

/// Enough to get anywhere.
const MOST_STEPS: usize = 200;

/// For a host while others wait for their turn.
const LONGEST: Duration = Duration::from_secs(2);

/// The least that proxies of our own kind let direct hosts go ahead.
const HEAD_START: Duration = Duration::from_secs(1);
