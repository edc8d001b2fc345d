// The documentation, for everybody.
import { NavLink, Select, Typography } from "@mantine/core";
import { useDocumentTitle } from "@mantine/hooks";
import { Link, useLocation, useNavigate, useParams } from "@tanstack/react-router";
import { useEffect } from "react";
import Markdown, { type Components } from "react-markdown";
import rehypeSlug from "rehype-slug";
import remarkGfm from "remark-gfm";
import { Empty } from "../../components/page";
import { NotFound } from "../errors";
import { PAGES } from "./pages";

// Links between the files work in the repository and here.
function docsLink(href: string | undefined): { page: string; hash: string } | null {
  const match = /^(?:\.\/)?([a-z0-9-]+)\.md(?:#(.*))?$/.exec(href ?? "");
  return match?.[1] ? { page: match[1], hash: match[2] ?? "" } : null;
}

const COMPONENTS: Components = {
  a: ({ href, children }) => {
    const target = docsLink(href);
    if (target) {
      return (
        <Link to="/docs/$page" params={{ page: target.page }} hash={target.hash}>
          {children}
        </Link>
      );
    }
    const outside = /^https?:/.test(href ?? "");
    return (
      <a href={href} {...(outside ? { target: "_blank", rel: "noreferrer" } : {})}>
        {children}
      </a>
    );
  },
  // Wide tables scroll by themselves.
  table: ({ children }) => (
    <div style={{ overflowX: "auto" }}>
      <table>{children}</table>
    </div>
  ),
};

export function Docs() {
  const { page: id } = useParams({ strict: false });
  const navigate = useNavigate();
  const { hash } = useLocation();
  const page = id === undefined ? PAGES[0] : PAGES.find((one) => one.id === id);
  useDocumentTitle(`${page?.title ?? "Documentation"} · SnapVM`);
  const shown = page?.id;
  useEffect(() => {
    if (shown && hash) {
      document.getElementById(hash)?.scrollIntoView();
    }
  }, [shown, hash]);

  if (PAGES.length === 0) {
    return (
      <div className="page">
        <Empty title="No documentation">This console was built without it.</Empty>
      </div>
    );
  }
  if (!page) {
    return <NotFound what="There is no such page in the documentation." />;
  }
  return (
    <div className="page docs">
      <Select
        className="phone-only"
        aria-label="Page"
        data={PAGES.map((one) => ({ value: one.id, label: one.title }))}
        value={page.id}
        onChange={(value) => value && navigate({ to: "/docs/$page", params: { page: value } })}
        allowDeselect={false}
        mb="md"
      />
      <nav aria-label="Documentation" className="docs-list wide-only">
        {PAGES.map((one) => (
          <NavLink
            key={one.id}
            label={one.title}
            active={one.id === page.id}
            {...(one.id === page.id ? { "aria-current": "page" as const } : {})}
            renderRoot={(props) => <Link to="/docs/$page" params={{ page: one.id }} {...props} />}
          />
        ))}
      </nav>
      <Typography component="article" className="docs-text">
        <Markdown remarkPlugins={[remarkGfm]} rehypePlugins={[rehypeSlug]} components={COMPONENTS}>
          {page.text}
        </Markdown>
      </Typography>
    </div>
  );
}
