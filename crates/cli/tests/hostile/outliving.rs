//! What has to be as it was after something that is done once, or that takes a while.

use crate::attacker::bare;
use crate::honest::Honest;
use crate::scene::Scene;
use crate::withstanding::{Before, Said, Sign};

/// Whether something leaves alone what stands.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Deed {
    /// Connections may break; what comes afterwards is served.
    Breaks,
    /// A program uses the tube all the time, and every byte arrives.
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
        let honest = match deed {
            Deed::Spares => Some(Honest::begin(self.tube).await),
            Deed::Breaks => None,
        };
        done(&mut self).await;
        for before in &before {
            before.assert_little();
        }
        if let Some(honest) = honest {
            honest.end().await;
        }
        self.is_forgotten(&before).await;
        let carol = bare(&self.carol.jid);
        let said = self.leave().await;
        said.assert_harmless();
        said.assert_has(sign, &carol);
        said
    }
}
