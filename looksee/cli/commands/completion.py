"""`looksee completion`: what a shell runs to complete commands, options and names of models."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

PROGRAM, VARIABLE = "looksee", "_LOOKSEE_COMPLETE"


@click.command(
    epilog="""\b
Examples:
  looksee completion bash >> ~/.bashrc
  looksee completion zsh >> ~/.zshrc
  looksee completion fish > ~/.config/fish/completions/looksee.fish"""
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print what makes SHELL complete the words of `looksee`."""
    kind = get_completion_class(shell)
    assert kind is not None
    # Not its source(), which runs bash to look at its version: the script is the same.
    own = kind(context.find_root().command, {}, PROGRAM, VARIABLE)
    click.echo(own.source_template % own.source_vars())
