//! `run`: the controller.

#[derive(clap::Args)]
pub struct Arguments {
    /// Watch this namespace; repeat it for several. Without it: all namespaces.
    #[arg(long, value_name = "NS", env = "LABEL_STUDIO_OPERATOR_NAMESPACE", value_delimiter = ',')]
    namespace: Vec<String>,
}

pub fn run(Arguments { namespace }: Arguments) -> anyhow::Result<()> {
    anyhow::bail!("not yet {namespace:?}")
}
