// The console's addresses. What a page shows is in its address, so that a link leads to the same thing.
import {
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
  redirect,
} from "@tanstack/react-router";
import { isMonth } from "./domain/month";
import { Frame } from "./frame";
import { NotFound, Trouble } from "./pages/errors";
import { Home } from "./pages/home";
import { OrgLayout } from "./pages/orgs/layout";
import { SignedIn } from "./pages/signed-in";

const text = (value: unknown): string | undefined =>
  typeof value === "string" && value !== "" ? value : undefined;

const root = createRootRoute({
  component: Frame,
  notFoundComponent: () => <NotFound />,
  errorComponent: Trouble,
});

/** Only paths of the console: nobody is sent elsewhere after signing in. */
function returnPath(search: Record<string, unknown>): { to?: string } {
  const to = text(search.to);
  return to && /^\/(?![/\\])/.test(to) ? { to } : {};
}

const signin = createRoute({
  getParentRoute: () => root,
  path: "/signin",
  validateSearch: returnPath,
  component: lazyRouteComponent(() => import("./pages/accounts/sign-in"), "SignIn"),
});

const signup = createRoute({
  getParentRoute: () => root,
  path: "/signup",
  validateSearch: returnPath,
  component: lazyRouteComponent(() => import("./pages/accounts/sign-up"), "SignUp"),
});

const docs = createRoute({
  getParentRoute: () => root,
  path: "/docs",
  component: lazyRouteComponent(() => import("./pages/docs/docs"), "Docs"),
});

const docsPage = createRoute({
  getParentRoute: () => root,
  path: "/docs/$page",
  component: lazyRouteComponent(() => import("./pages/docs/docs"), "Docs"),
});

const signedIn = createRoute({ getParentRoute: () => root, id: "signed-in", component: SignedIn });

const home = createRoute({ getParentRoute: () => signedIn, path: "/", component: Home });

const account = createRoute({
  getParentRoute: () => signedIn,
  path: "/account",
  component: lazyRouteComponent(() => import("./pages/accounts/account"), "AccountPage"),
});

const org = createRoute({ getParentRoute: () => signedIn, path: "/orgs/$org", component: OrgLayout });

const orgIndex = createRoute({
  getParentRoute: () => org,
  path: "/",
  beforeLoad: ({ params }) => {
    throw redirect({ to: "/orgs/$org/machines", params, replace: true });
  },
});

const machines = createRoute({
  getParentRoute: () => org,
  path: "/machines",
  validateSearch: (search): { create?: true; find?: string } => {
    const find = text(search.find);
    return { ...(search.create ? { create: true } : {}), ...(find ? { find } : {}) };
  },
  component: lazyRouteComponent(() => import("./pages/machines/list"), "MachineList"),
});

/** Which events a page shows. */
function eventsFilter(search: Record<string, unknown>): { machine?: string; kind?: string } {
  const [machine, kind] = [text(search.machine), text(search.kind)];
  return { ...(machine ? { machine } : {}), ...(kind ? { kind } : {}) };
}

const orgActivity = createRoute({
  getParentRoute: () => org,
  path: "/activity",
  validateSearch: eventsFilter,
  component: lazyRouteComponent(() => import("./pages/activity/activity"), "OrgActivity"),
});

const members = createRoute({
  getParentRoute: () => org,
  path: "/members",
  component: lazyRouteComponent(() => import("./pages/members/members"), "Members"),
});

const audit = createRoute({
  getParentRoute: () => org,
  path: "/audit",
  component: lazyRouteComponent(() => import("./pages/audit/audit"), "Audit"),
});

const usage = createRoute({
  getParentRoute: () => org,
  path: "/usage",
  validateSearch: (search): { month?: string } => {
    const month = text(search.month);
    return month && isMonth(month) ? { month } : {};
  },
  component: lazyRouteComponent(() => import("./pages/usage/usage"), "UsagePage"),
});

const machine = createRoute({
  getParentRoute: () => org,
  path: "/machines/$machine",
  component: lazyRouteComponent(() => import("./pages/machines/machine"), "MachinePage"),
});

const machineIndex = createRoute({
  getParentRoute: () => machine,
  path: "/",
  beforeLoad: ({ params }) => {
    throw redirect({ to: "/orgs/$org/machines/$machine/terminals", params, replace: true });
  },
});

// The terminals are drawn by the machine's page itself, so that they stay connected behind the other tabs.
const terminals = createRoute({
  getParentRoute: () => machine,
  path: "/terminals",
  validateSearch: (search): { terminal?: string } => {
    const terminal = text(search.terminal);
    return terminal ? { terminal } : {};
  },
  component: () => null,
});

const services = createRoute({
  getParentRoute: () => machine,
  path: "/services",
  validateSearch: (search): { edit?: string; show?: string; logs?: string } => {
    const [edit, show, logs] = [text(search.edit), text(search.show), text(search.logs)];
    return edit ? { edit } : show ? { show } : logs ? { logs } : {};
  },
  component: lazyRouteComponent(() => import("./pages/services/services"), "Services"),
});

const variables = createRoute({
  getParentRoute: () => machine,
  path: "/variables",
  component: lazyRouteComponent(() => import("./pages/variables/variables"), "Variables"),
});

const ports = createRoute({
  getParentRoute: () => machine,
  path: "/ports",
  component: lazyRouteComponent(() => import("./pages/ports/ports"), "Ports"),
});

const checkpoints = createRoute({
  getParentRoute: () => machine,
  path: "/checkpoints",
  component: lazyRouteComponent(() => import("./pages/checkpoints/checkpoints"), "Checkpoints"),
});

const activity = createRoute({
  getParentRoute: () => machine,
  path: "/activity",
  validateSearch: (search): { kind?: string } => {
    const { kind } = eventsFilter(search);
    return kind ? { kind } : {};
  },
  component: lazyRouteComponent(() => import("./pages/machines/activity"), "Activity"),
});

const settings = createRoute({
  getParentRoute: () => machine,
  path: "/settings",
  component: lazyRouteComponent(() => import("./pages/machines/settings"), "Settings"),
});

export const router = createRouter({
  routeTree: root.addChildren([
    signin,
    signup,
    docs,
    docsPage,
    signedIn.addChildren([
      home,
      account,
      org.addChildren([
        orgIndex,
        machines,
        orgActivity,
        members,
        audit,
        usage,
        machine.addChildren([
          machineIndex,
          terminals,
          services,
          variables,
          ports,
          checkpoints,
          activity,
          settings,
        ]),
      ]),
    ]),
  ]),
  defaultPreload: "intent",
  scrollRestoration: true,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
