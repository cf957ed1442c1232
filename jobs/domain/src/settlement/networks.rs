//! The networks, assets and treasuries we accept payments on; from configuration.

/// One chain we take payments on.
#[derive(Clone, Debug)]
pub struct Network {
    /// CAIP-2: `eip155:84532`.
    pub id: String,
    /// What the first version of the protocol calls it: `base-sepolia`.
    pub v1_name: String,
    /// Token contracts that count as USDC.
    pub assets: Vec<String>,
    /// Our addresses, the current and all former ones.
    pub treasuries: Vec<String>,
}

/// All of them. Addresses are compared without regard to letter case.
#[derive(Clone, Debug, Default)]
pub struct Networks {
    list: Vec<Network>,
}

impl Networks {
    /// Takes the configured networks.
    pub fn new(list: Vec<Network>) -> Self {
        let lower = |texts: Vec<String>| texts.iter().map(|t| t.to_lowercase()).collect();
        let list = list.into_iter().map(|n| Network { assets: lower(n.assets), treasuries: lower(n.treasuries), ..n });
        Self { list: list.collect() }
    }

    /// The network that a message of protocol `version` calls `name`.
    pub(super) fn named(&self, version: i64, name: &str) -> Option<&Network> {
        self.list.iter().find(|n| if version == 1 { n.v1_name == name } else { n.id == name })
    }
}

impl Network {
    pub(super) fn has_asset(&self, asset: &str) -> bool {
        self.assets.contains(&asset.to_lowercase())
    }

    pub(super) fn is_treasury(&self, address: &str) -> bool {
        self.treasuries.contains(&address.to_lowercase())
    }
}
