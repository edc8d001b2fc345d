// Calls the Worker's scheduled handler, as the platform does in production. Any request to this socket is one call.
export default {
  async fetch(request, env) {
    const cron = new URL(request.url).searchParams.get("cron") ?? "* * * * *";
    const { outcome } = await env.MAIN.scheduled({ cron, scheduledTime: new Date() });
    return new Response(outcome, { status: outcome === "ok" ? 200 : 500 });
  },
};
