#!/usr/bin/env bash
# Push a site's notebooks and scripts to the branch `notebooks`, from which Colab opens them. Each
# push replaces the branch with a single commit, so the repository does not grow.
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
# Pass the token in git's environment, because every process can read git's arguments.
credentials=$(printf 'x-access-token:%s' "${TOKEN:-}" | base64 --wrap=0)
GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0="http.$remote.extraheader" \
  GIT_CONFIG_VALUE_0="AUTHORIZATION: basic $credentials" \
  git -C "$work" push --force --quiet "$remote" notebooks
echo "Pushed $(git -C "$work" ls-files '*.ipynb' | wc -l) notebooks to the branch notebooks."
