//! What is over holds nothing.

use std::fs;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::interval;
use tubes_transport::{Role, Wire};

use crate::compliance::Breach;
use crate::compliance::attempts::mark;
use crate::compliance::bench::{Bench, Wires, other};
use crate::compliance::carrying::exchange;
use crate::compliance::speech::hear;

/// What the process holds before a test begins.
pub(crate) struct Holdings {
    descriptors: usize,
}

impl Holdings {
    pub(crate) fn count() -> Result<Self, Breach> {
        let open = fs::read_dir("/dev/fd").map_err(Breach::NotMeasurable)?;
        let descriptors = open.count();
        Ok(Self { descriptors })
    }

    /// Waits until both sides can claim the stream again and no more descriptors are open than
    /// before.
    pub(crate) async fn must_be_free(&self, bench: &Bench, stream: &str) -> Result<(), Breach> {
        for (role, whose) in [
            (Role::Requester, "by the requester"),
            (Role::Responder, "by the responder"),
        ] {
            let free = until(|| bench.claim(role, stream).is_some());
            let freed = bench.within(whose, free).await;
            freed.map_err(|_| Breach::ClaimKept(whose))?;
        }
        let mut after = self.descriptors;
        let closed = until(|| {
            after = Self::count().map_or(usize::MAX, |now| now.descriptors);
            after <= self.descriptors
        });
        let closed = bench.within("descriptors are closed", closed).await;
        closed.map_err(|_| Breach::DescriptorsKept {
            before: self.descriptors,
            after,
        })
    }
}

/// Looks again and again until this holds: nothing tells when a descriptor is closed.
async fn until(mut holds: impl FnMut() -> bool) {
    let mut looks = interval(LOOK);
    while !holds() {
        looks.tick().await;
    }
}

/// A stream that was carried to its end.
pub(crate) async fn when_ended(bench: &Bench, role: Role) -> Result<(), Breach> {
    let holdings = Holdings::count()?;
    let (near, far) = bench.open("ended").await?.seen_by(role);
    exchange(bench, near, far, 3000).await?;
    holdings.must_be_free(bench, "ended").await?;
    match bench.hub.pending() {
        0 => Ok(()),
        left => Err(Breach::Spoke(format!(
            "{left} questions wait for an answer"
        ))),
    }
}

/// An attempt that is given up: after each of its first steps, and when the peer has heard of it
/// but not answered.
pub(crate) async fn when_dropped(bench: &Bench, role: Role) -> Result<(), Breach> {
    let holdings = Holdings::count()?;
    let streams: Vec<_> = (0..=STEPS)
        .map(|steps| format!("dropped-{steps}"))
        .collect();
    for (steps, stream) in streams.iter().enumerate() {
        let mut wires = bench.wires(stream)?;
        match (steps, role) {
            (STEPS, Role::Requester) => drop_unanswered(bench, &mut wires).await?,
            _ => drop_after(bench, role, wires, steps, stream).await?,
        }
    }
    // Only now: some may wait for a peer's last word, and they do so together.
    for stream in &streams {
        holdings.must_be_free(bench, stream).await?;
    }
    Ok(())
}

async fn drop_after(
    bench: &Bench,
    role: Role,
    wires: Wires,
    steps: usize,
    stream: &str,
) -> Result<(), Breach> {
    let (near, mut far) = wires.seen_by(role);
    let voice = near.voice();
    let dropping = async {
        let attempted = steps_of(bench, role, near, steps);
        bench
            .within("attempting for a few steps", attempted)
            .await?;
        // A requester may have said nothing yet. The next transport's word comes now, as it
        // would from a signalling.
        if role == Role::Requester {
            let told = voice.tell(mark(stream)).await;
            told.map_err(|gone| Breach::Stopped(gone.into()))?;
        }
        Ok(())
    };
    let learning = must_learn(bench, other(role), &mut far);
    let (dropped, learnt) = tokio::join!(dropping, learning);
    learnt.and(dropped)
}

/// Attempts until it has waited this often, and drops the attempt; one that was faster than that
/// is dropped as an open stream.
async fn steps_of(bench: &Bench, role: Role, mut wire: Wire, steps: usize) {
    let mut attempt = pin!(bench.connect(role, &mut wire));
    let mut left = steps;
    let opened = poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match attempt.as_mut().poll(cx) {
            Poll::Ready(opened) => Poll::Ready(Some(opened)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    });
    drop(opened.await);
}

/// The peer has heard what the requester says and not answered when it is given up.
async fn drop_unanswered(bench: &Bench, wires: &mut Wires) -> Result<(), Breach> {
    let asking = async {
        tokio::select! {
            _ = bench.connect(Role::Requester, &mut wires.requester) => false,
            heard = wires.responder.peek() => heard.is_ok(),
        }
    };
    if !bench.within("the requester begins", asking).await? {
        return Err(Breach::Opened("nobody answered"));
    }
    must_learn(bench, Role::Responder, &mut wires.responder).await
}

/// The attempt fails, or opens a stream that breaks.
async fn must_learn(bench: &Bench, role: Role, wire: &mut Wire) -> Result<(), Breach> {
    let attempt = bench.within(
        "the peer of a dropped attempt waits",
        bench.connect(role, wire),
    );
    let Ok(mut stream) = attempt.await? else {
        return Ok(());
    };
    let heard = hear(bench, &mut stream, &[]).await?;
    match bench.tells_breaks() {
        true => heard.must_break_off(&[], "after the attempt was dropped"),
        false => Ok(()),
    }
}

/// Waits of an attempt after which it is dropped: more than opening takes.
const STEPS: usize = 6;

/// Between two looks; short beside any deadline, and long enough to leave the processor alone.
const LOOK: Duration = Duration::from_millis(2);
