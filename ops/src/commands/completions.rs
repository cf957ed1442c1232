//! `completions` and `man`: what a shell and a manual reader want to know, made from the command line's own definition.

use crate::cli::Context;
use crate::exit::Exit;
use clap::{Args, CommandFactory};
use clap_complete::Shell;
use serde_json::json;

/// Arguments of `completions`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  clawr completions bash > ~/.local/share/bash-completion/completions/clawr")]
pub struct CompletionsArgs {
    /// bash, zsh, fish, elvish, powershell
    shell: Shell,
}

/// Prints completions.
pub fn completions<C: CommandFactory>(args: CompletionsArgs, context: &Context) -> anyhow::Result<Exit> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut C::command(), "clawr", &mut text);
    let text = String::from_utf8(text)?;
    context.out.text(&text, &json!({ "shell": args.shell.to_string(), "script": text }))?;
    Ok(Exit::Done)
}

/// Prints the manual page, with one section per command.
pub fn man<C: CommandFactory>(context: &Context) -> anyhow::Result<Exit> {
    let mut command = C::command();
    command.build();
    let mut text = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut text)?;
    for sub in command.get_subcommands().filter(|c| c.get_name() != "help") {
        let page = clap_mangen::Man::new(sub.clone());
        text.extend(format!(".SH COMMAND {}\n", sub.get_name().to_uppercase()).bytes());
        page.render_synopsis_section(&mut text)?;
        page.render_description_section(&mut text)?;
        page.render_options_section(&mut text)?;
    }
    let text = String::from_utf8(text)?;
    context.out.text(&text, &json!({ "page": text }))?;
    Ok(Exit::Done)
}
