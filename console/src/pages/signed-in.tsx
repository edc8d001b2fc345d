// Pages for people who are signed in. Everybody else is asked to sign in, and comes back here after it.
import { useQuery } from "@tanstack/react-query";
import { Navigate, Outlet, useLocation } from "@tanstack/react-router";
import { accountQuery } from "../api/accounts";
import { LoadError, Loading } from "../components/page";

export function SignedIn() {
  const { data: account, error, refetch } = useQuery(accountQuery);
  const location = useLocation();
  if (account) {
    return <Outlet />;
  }
  if (account === null) {
    // The address changes before this page is gone: it must not ask to come back to the sign-in.
    if (location.pathname === "/signin") {
      return null;
    }
    const to = location.href === "/" ? undefined : location.href;
    return <Navigate to="/signin" search={to ? { to } : {}} replace />;
  }
  if (error) {
    return (
      <div className="page">
        <LoadError error={error} retry={refetch} />
      </div>
    );
  }
  return <Loading />;
}
