# Sourced before every process of the app.
export PATH="$HOME/.node/bin:$HOME/node_modules/.bin:$PATH"
export NODE_ENV="${NODE_ENV:-production}"
