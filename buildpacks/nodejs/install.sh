# Dependencies: from the cache when the lockfile is the same, otherwise by npm; development ones only while building.

lockfile() {
  local file
  for file in npm-shrinkwrap.json package-lock.json; do
    if [ -f "$file" ]; then
      echo "$file"
      return
    fi
  done
}

needs_dev() { has_script build || has_script heroku-postbuild; }

# Empty where a tree cannot be kept: no lockfile, or workspaces, which have several.
tree_key() {
  local lock
  lock=$(lockfile)
  [ -n "$lock" ] && [ -z "${manifest[workspaces]:-}" ] || return 0
  { node -p 'process.version + process.arch' && needs_dev && echo dev || true; cat package.json "$lock" .npmrc 2>/dev/null || true; } |
    sha256sum | cut -c1-32
}

# What npm would have run at the end of an install.
run_install_scripts() {
  local script
  for script in preinstall install postinstall prepare; do run_script "$script"; done
}

install_dependencies() {
  local key lock include=(--omit=dev)
  if [ -d node_modules ]; then
    note 'node_modules is in the repository; it is replaced. Add it to .gitignore.'
    rm -rf node_modules
  fi
  for lock in yarn.lock pnpm-lock.yaml bun.lockb; do
    if [ -f "$lock" ]; then note "$lock is not read: dependencies come from npm. Commit a package-lock.json to fix their versions."; fi
  done
  lock=$(lockfile)
  if [ -z "${manifest[packages]:-}" ]; then
    note 'No dependencies'
    return
  fi
  if needs_dev; then include=(--include=dev); fi
  key=$(tree_key)
  if [ -n "$key" ] && [ -d "$cache/tree/$key" ]; then
    heading 'Dependencies from the cache'
    cp -a "$cache/tree/$key" node_modules
    run_install_scripts
    return
  fi
  if [ -n "$lock" ]; then
    heading "npm ci ($lock)"
    npm ci "${include[@]}" 2>&1 | indent || fail 'npm ci ended with an error; what it printed is above.'
  else
    heading 'npm install (no lockfile: commit package-lock.json to get the same versions every time)'
    npm install --no-package-lock "${include[@]}" 2>&1 | indent ||
      fail 'npm install ended with an error; what it printed is above.'
  fi
  keep_tree "$key"
}

keep_tree() {
  [ -n "$1" ] && [ -d node_modules ] || return 0
  rm -rf "$cache/tree"
  mkdir -p "$cache/tree"
  cp -a node_modules "$cache/tree/.new"
  mv "$cache/tree/.new" "$cache/tree/$1"
}

prune_dependencies() {
  needs_dev && [ -d node_modules ] || return 0
  heading 'Removing development dependencies'
  npm prune --omit=dev --ignore-scripts 2>&1 | indent
}

trim_cache() {
  local mb
  [ -d "$npm_config_cache" ] || return 0
  mb=$(du -sm "$npm_config_cache" | cut -f1)
  if [ "$mb" -gt "$max_npm_cache_mb" ]; then
    note "npm's downloads have grown to $mb MB: starting afresh"
    rm -rf "$npm_config_cache"
  fi
}
