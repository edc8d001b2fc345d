// What is around every page: the header, the banner about the API, and the shortcuts.
import { ActionIcon, Anchor, Button, Menu } from "@mantine/core";
import { IconBook2, IconMenu2 } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link, Outlet, useParams } from "@tanstack/react-router";
import { accountQuery } from "./api/accounts";
import { AccountMenu } from "./components/account-menu";
import { ColorSchemeMenu } from "./components/color-scheme-menu";
import { LiveIndicator } from "./components/live-indicator";
import { OrgSwitcher } from "./components/org-switcher";
import { ReachabilityBanner } from "./components/reachability-banner";
import { Shortcuts } from "./components/shortcuts";

export function Frame() {
  const { data: account } = useQuery(accountQuery);
  const { org: inUrl } = useParams({ strict: false });
  const org = inUrl ?? account?.orgs[0]?.slug;
  return (
    <div className="frame">
      <Anchor href="#main" className="skip-link">
        Skip to the content
      </Anchor>
      <header className="frame-header">
        <Link to="/" className="brand" aria-label="SnapVM, start page">
          <img src="/icon.svg" alt="" width={20} height={20} />
          <span className={account ? "wide-only" : undefined}>SnapVM</span>
        </Link>
        {account && <OrgSwitcher account={account} org={org} />}
        <nav aria-label="Main" className="wide-only" style={{ display: "flex", gap: 2 }}>
          {account && org && (
            <>
              <Link to="/orgs/$org/machines" params={{ org }} className="nav-link">
                Machines
              </Link>
              <Link to="/orgs/$org/activity" params={{ org }} className="nav-link">
                Activity
              </Link>
              <Link to="/orgs/$org/members" params={{ org }} className="nav-link">
                Members
              </Link>
              <Link to="/orgs/$org/usage" params={{ org }} className="nav-link">
                Usage
              </Link>
              <Link to="/orgs/$org/audit" params={{ org }} className="nav-link">
                Audit
              </Link>
            </>
          )}
        </nav>
        <div style={{ flex: 1 }} />
        {inUrl && <LiveIndicator org={inUrl} />}
        <Link to="/docs" className="nav-link wide-only">
          Docs
        </Link>
        <PhoneMenu org={account ? org : undefined} />
        <ColorSchemeMenu />
        {account && <AccountMenu account={account} />}
        {account === null && (
          <>
            <Button variant="default" renderRoot={(props) => <Link to="/signin" {...props} />}>
              Sign in
            </Button>
            <Button className="wide-only" renderRoot={(props) => <Link to="/signup" {...props} />}>
              Sign up
            </Button>
          </>
        )}
      </header>
      <ReachabilityBanner />
      <main id="main" className="frame-main">
        <Outlet />
      </main>
      <Shortcuts />
    </div>
  );
}

function PhoneMenu({ org }: { org: string | undefined }) {
  return (
    <Menu>
      <Menu.Target>
        <ActionIcon variant="subtle" color="gray" aria-label="Menu" className="phone-only">
          <IconMenu2 size={18} />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        {org && (
          <>
            <Menu.Item renderRoot={(props) => <Link to="/orgs/$org/machines" params={{ org }} {...props} />}>
              Machines
            </Menu.Item>
            <Menu.Item renderRoot={(props) => <Link to="/orgs/$org/activity" params={{ org }} {...props} />}>
              Activity
            </Menu.Item>
            <Menu.Item renderRoot={(props) => <Link to="/orgs/$org/members" params={{ org }} {...props} />}>
              Members
            </Menu.Item>
            <Menu.Item renderRoot={(props) => <Link to="/orgs/$org/usage" params={{ org }} {...props} />}>
              Usage
            </Menu.Item>
            <Menu.Item renderRoot={(props) => <Link to="/orgs/$org/audit" params={{ org }} {...props} />}>
              Audit
            </Menu.Item>
            <Menu.Divider />
          </>
        )}
        <Menu.Item
          leftSection={<IconBook2 size={15} />}
          renderRoot={(props) => <Link to="/docs" {...props} />}
        >
          Docs
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
