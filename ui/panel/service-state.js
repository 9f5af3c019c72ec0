/** The service's version, environment and cache, in the page's footer. */

const REDIS = { up: "Redis up, answers are cached", down: "Redis down, nothing is cached", off: "no cache" };

export function showService({ version, environment, redis }, health) {
  version.textContent = `Looksee ${health.version}`;
  environment.textContent = health.environment;
  redis.textContent = REDIS[health.redis] ?? `Redis ${health.redis}`;
  redis.dataset.state = health.redis;
}
