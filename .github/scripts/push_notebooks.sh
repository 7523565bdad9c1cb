#!/usr/bin/env bash
# Put a site's notebooks and scripts onto the branch `notebooks`, where Colab opens them: one commit,
# without a history, so that the repository does not grow with every publication.
#
#     TOKEN=… .github/scripts/push_notebooks.sh _build/html/notebooks https://github.com/OWNER/NAME
set -euo pipefail

notebooks=$1 remote=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cp -R "$notebooks/." "$work"
git -C "$work" init --quiet --initial-branch=notebooks
git -C "$work" add --all
git -C "$work" -c user.name='github-actions[bot]' \
  -c user.email='41898282+github-actions[bot]@users.noreply.github.com' \
  commit --quiet --message "The notebooks of ${GITHUB_SHA:-this build}"
# The token reaches git by its environment: not by its arguments, which every process can read.
credentials=$(printf 'x-access-token:%s' "${TOKEN:-}" | base64 --wrap=0)
GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0="http.$remote.extraheader" \
  GIT_CONFIG_VALUE_0="AUTHORIZATION: basic $credentials" \
  git -C "$work" push --force --quiet "$remote" notebooks
echo "Pushed $(git -C "$work" ls-files '*.ipynb' | wc -l) notebooks to the branch notebooks."
