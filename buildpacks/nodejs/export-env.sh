# The app's config variables, as its build scripts see them: one file each in ENV_DIR.

# Names that would change how this buildpack itself works rather than the app.
reserved_env='^(PATH|HOME|PWD|SHELL|IFS|ENV|BASH.*|LD_.*|GIT_.*|SHELLOPTS|NODE_EXTRA_CA_CERTS|SSL_CERT_FILE)$'

export_env() {
  local file name
  for file in "$1"/*; do
    name=${file##*/}
    [[ -f $file && $name =~ ^[A-Za-z_][A-Za-z0-9_]*$ && ! $name =~ $reserved_env ]] || continue
    export "$name=$(<"$file")"
  done
}
