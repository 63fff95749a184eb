//! What has to be as it was after something that is done once, or that takes a while.

use std::cell::Cell;

use crate::honest::Honest;
use crate::scene::Scene;
use crate::withstanding::{Before, Said, Sign};

/// Whether something leaves alone what stands.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Deed {
    /// Connections may break; what comes afterwards is served.
    Breaks,
    /// A program says something all the time, and every byte arrives.
    Spares,
}

impl Scene {
    /// Something is done, and judged as in [`withstands`](Self::withstands), but for the throughput.
    pub(crate) async fn outlives(
        mut self,
        sign: Sign,
        deed: Deed,
        done: impl AsyncFnOnce(&mut Self),
    ) -> Said {
        let before: Vec<_> = self.vitals().into_iter().map(Before::of).collect();
        match deed {
            Deed::Breaks => done(&mut self).await,
            Deed::Spares => {
                let mut honest = Honest::begin(self.tube).await;
                let over = Cell::new(false);
                let doing = async {
                    done(&mut self).await;
                    over.set(true);
                };
                tokio::join!(doing, honest.trickle(&over));
                honest.end().await;
            }
        }
        self.concludes(&before, sign).await
    }
}
