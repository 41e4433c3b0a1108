//! `tern completions`.

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::{Answer, AskError, Context};
use crate::args::Args;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "bash:  tern completions bash > ~/.local/share/bash-completion/completions/tern\n\
    zsh:   tern completions zsh > \"${fpath[1]}/_tern\"\n\
    fish:  tern completions fish > ~/.config/fish/completions/tern.fish"
)]
pub(crate) struct CompletionsArgs {
    /// For which shell
    shell: Shell,
}

pub(crate) fn run(context: &mut Context, args: &CompletionsArgs) -> Result<Answer, AskError> {
    let mut script = Vec::new();
    let mut command = Args::command();
    clap_complete::generate(args.shell, &mut command, "tern", &mut script);
    context.out.text(&String::from_utf8_lossy(&script))?;
    Ok(Answer::Yes)
}
