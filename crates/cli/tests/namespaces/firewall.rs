//! Firewalls between the machines.

use crate::network::{CABLE, Network};

impl Network {
    /// What wants to connect over the cable vanishes.
    pub(crate) fn drop_direct(&self) {
        self.at_fernand(&format!(
            "iifname {CABLE} tcp flags & (syn | ack) == syn drop"
        ));
    }

    /// What wants to connect over the cable is refused.
    pub(crate) fn refuse_direct(&self) {
        self.at_fernand(&format!(
            "iifname {CABLE} meta l4proto tcp reject with tcp reset"
        ));
    }

    /// What wants to connect to the proxy vanishes.
    pub(crate) fn drop_proxy(&self) {
        let port = self.server.proxy_address().unwrap().port();
        let rule = format!("iifname != lo tcp dport {port} drop");
        self.at_server.run_with("nft -f -", &input(&rule));
    }

    /// Counts what goes over the cable by TCP, from now on.
    pub(crate) fn count_direct(&self) {
        let rules = format!(
            "table inet count {{
                counter direct {{ }}
                chain input {{
                    type filter hook input priority 0;
                    iifname {CABLE} meta l4proto tcp counter name direct
                }}
                chain output {{
                    type filter hook output priority 0;
                    oifname {CABLE} meta l4proto tcp counter name direct
                }}
            }}
            "
        );
        for machine in [&self.alice, &self.fernand] {
            machine.namespace.run_with("nft -f -", &rules);
        }
    }

    /// The packets that were counted, at both ends.
    pub(crate) fn counted(&self) -> u64 {
        let machines = [&self.alice, &self.fernand].into_iter();
        let counts = machines.map(|machine| {
            let listed = machine.namespace.run("nft list counter inet count direct");
            let mut words = listed.split_whitespace();
            words.find(|word| *word == "packets").unwrap();
            words.next().unwrap().parse::<u64>().unwrap()
        });
        counts.sum()
    }

    /// Fernand's program is the one that connects to the tube, and so his machine is dialled.
    fn at_fernand(&self, rule: &str) {
        self.fernand.namespace.run_with("nft -f -", &input(rule));
    }
}

fn input(rule: &str) -> String {
    format!(
        "table inet block {{
            chain input {{
                type filter hook input priority 0;
                {rule}
            }}
        }}
        "
    )
}
