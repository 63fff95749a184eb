//! What is left of the honest tube's throughput.
//!
//! That takes a machine that has nothing else to do, and a few seconds for each misbehaviour: it
//! [is measured](is_measured) with `./test --full`. Otherwise Carol strikes as often at once, and a few times more,
//! and the honest tube has only to carry every byte.
//!
//! Machines are noisy, and others have work for them, too. So nothing is compared with what was long ago:
//! rounds without Carol and beside her alternate, and their medians are compared; all rounds count. A round is
//! so many bytes and so many strikes, however long that takes. What is
//! clear after a few is believed at once. What is not takes more of them, and with more of them less has to
//! be clear ([`LOOKS`]).

use std::cell::Cell;
use std::time::Duration;

use rustix::process::Signal;
use tokio::time::interval;

use crate::attacker::Attacker;
use crate::honest::Honest;
use crate::program::PATIENCE;
use crate::scene::Scene;

/// Carol's strikes, one after the other.
pub(crate) struct Storm<S> {
    strike: S,
    blows: u64,
}

impl<S: AsyncFnMut(&mut Attacker, u64)> Storm<S> {
    pub(crate) fn of(strike: S) -> Self {
        Self { strike, blows: 0 }
    }

    /// The honest tube keeps at least [`SHARE`] of its throughput beside her strikes, and has as much when
    /// there are none as it had before the first of them.
    pub(crate) async fn is_withstood(&mut self, scene: &mut Scene, honest: &mut Honest) {
        let mut before = Vec::new();
        for _ in 0..LOOKS[0].0 {
            before.push(honest.round(scene.plan.round()).await);
        }
        self.burst(scene, honest).await;
        let mut after = Vec::new();
        let share = share(async || {
            let [without, beside] = self.turn(scene, honest).await;
            after.push(without);
            [without, beside]
        });
        let share = share.await;
        assert!(share >= SHARE, "the honest tube had {share:.2} beside her");
        let [before, after] = [before, after].map(median);
        eprintln!(
            "{:.1} MB/s before, {:.1} afterwards, {share:.2} of it beside her",
            before / 1e6,
            after / 1e6
        );
        if after < SHARE * before {
            self.is_like_another(scene, honest).await;
        }
    }

    /// The honest tube carries what is said beside her strikes, and after them.
    pub(crate) async fn passes(&mut self, scene: &mut Scene, honest: &mut Honest) {
        self.burst(scene, honest).await;
        self.turn(scene, honest).await;
        honest.round(scene.plan.round()).await;
    }

    async fn blow(&mut self, carol: &mut Attacker) {
        (self.strike)(carol, self.blows).await;
        self.blows += 1;
    }

    /// All at once; meanwhile the honest program says a little.
    async fn burst(&mut self, scene: &mut Scene, honest: &mut Honest) {
        let over = Cell::new(false);
        let storming = async {
            while self.blows < scene.plan.fierceness.burst {
                self.blow(&mut scene.carol).await;
                if self.blows.is_multiple_of(HEED) {
                    scene.hear_all().await;
                }
            }
            over.set(true);
        };
        tokio::join!(storming, honest.trickle(&over));
    }

    /// A round without her, and one beside her.
    async fn turn(&mut self, scene: &mut Scene, honest: &mut Honest) -> [f64; 2] {
        let (strikes, pieces) = (scene.plan.fierceness.strikes, scene.plan.round());
        let without = honest.round(pieces).await;
        let storming = async {
            let mut pace = interval(PACE);
            for _ in 0..strikes {
                pace.tick().await;
                self.blow(&mut scene.carol).await;
            }
        };
        let ((), beside) = tokio::join!(storming, honest.round(pieces));
        scene.hear_all().await;
        [without, beside]
    }

    /// It is slower than it was: because of her, or because the machine is busier now. Then another pair
    /// of processes, which nobody has met, is no faster.
    async fn is_like_another(&mut self, scene: &Scene, honest: &mut Honest) {
        let (twin, _accounts) = scene.plan.twin().await;
        let mut theirs = Honest::begin(twin.tube).await;
        let pieces = scene.plan.round();
        let share = share(async || [theirs.round(pieces).await, honest.round(pieces).await]);
        let share = share.await;
        assert!(share >= SHARE, "the honest tube kept {share:.2} in the end");
        theirs.end().await;
        drop(twin.visitors);
        for program in twin.programs {
            program.signal(Signal::TERM);
            assert_eq!(program.end().await.0, Some(0));
        }
    }
}

/// Whether throughput is measured, one test at a time.
pub(crate) fn is_measured() -> bool {
    std::env::var_os("TUBES_TEST_FULL").is_some()
}

/// How long something may take that is promised to take no longer than this where there is nothing else to do.
pub(crate) fn soon(promised: Duration) -> Duration {
    match is_measured() {
        true => promised,
        false => PATIENCE,
    }
}

/// What the second of two has of what the first has.
async fn share(mut turn: impl AsyncFnMut() -> [f64; 2]) -> f64 {
    let (mut without, mut beside) = (Vec::new(), Vec::new());
    let mut share = 0.0;
    for (turns, clear) in LOOKS {
        while without.len() < turns {
            let [one, other] = turn().await;
            without.push(one);
            beside.push(other);
        }
        share = median(beside.clone()) / median(without.clone());
        if share >= clear {
            break;
        }
    }
    share
}

fn median(mut rounds: Vec<f64>) -> f64 {
    rounds.sort_by(f64::total_cmp);
    rounds[rounds.len() / 2]
}

/// What has to be left of the throughput.
const SHARE: f64 = 0.8;

/// After so many turns it is over, if so much is left.
const LOOKS: [(usize, f64); 3] = [(3, 0.9), (9, 0.85), (27, SHARE)];

/// From one strike to the next in a round.
const PACE: Duration = Duration::from_millis(20);

/// After how many strikes Carol waits until they are heard, in a burst: a server that has nowhere to put
/// what she says would send Alice away, not her.
const HEED: u64 = 32;
